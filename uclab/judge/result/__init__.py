"""What a judgement is made of: findings, claims, margins, incidents."""
