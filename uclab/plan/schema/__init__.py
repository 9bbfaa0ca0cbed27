"""What a plan is made of: nodes, links, policies, flows. Dataclasses that import nothing above them."""
