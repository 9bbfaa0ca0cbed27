"""What a session controller lets one address do: limits by the accounts behind an address."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Protection:
    """The policy's `protection`, with the number of accounts that it is to be held against."""

    behind: int
    """Accounts behind the busiest public address."""
    connections_per_account: int
    connections_spare: int
    new_connections_per_s: int
    new_connections_per_account: float
    silent_s: int
    handshakes_per_s: int
    silent_connections: int
    failed_guesses: int
    guesses_s: int
    ban_s: int

    @property
    def connections(self) -> int:
        """TLS connections that an address may have open."""
        return self.behind * self.connections_per_account + self.connections_spare

    @property
    def silent_for_s(self) -> int:
        """How long a connection may stand without a request, also when all phones of the busiest address come
        at once."""
        return self.silent_s + self.behind // self.handshakes_per_s

    @property
    def silent(self) -> int:
        """Connections on which an address may have said nothing for a second."""
        return self.silent_connections + self.behind

    @property
    def connections_per_s(self) -> int:
        """Connections a second that an address may open when it has opened `connections` at once."""
        return self.new_connections_per_s + int(self.behind * self.new_connections_per_account)

    @property
    def guesses(self) -> int:
        """Wrong passwords of an address altogether."""
        return self.failed_guesses + self.behind

    def with_more(self, accounts: int) -> Protection:
        """The same with so many accounts more behind the busiest address."""
        return replace(self, behind=self.behind + accounts)
