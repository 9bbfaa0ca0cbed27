"""The load user agent: real SIP and SRTP, thousands of registrations and hundreds of calls a process
(docs/load-agent.md)."""
