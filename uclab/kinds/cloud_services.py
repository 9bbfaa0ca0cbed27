"""The services that every cloud has."""

from uclab.kinds.cloud_service import CloudService, declare

declare(
    CloudService(
        name="name-server",
        title="name server",
        what="public DNS with the records of all servers (unbound)",
        requirements=("V6",),
        starter="cloud_core.name_server:name_servers",
        image="cloud_core:dns",
        on_request=False,
    )
)
declare(
    CloudService(
        name="media-relay",
        title="media relay",
        what="anchors the media of all calls, by SRTP on both sides (rtpengine)",
        requirements=("C2", "C7"),
        starter="cloud_core.media_relay:media_relays",
        image="cloud_core:rtpengine",
        on_request=False,
    )
)
declare(
    CloudService(
        name="session-controller",
        title="session controller",
        what="registrar, proxy and session border controller, by SIP over TLS alone (Kamailio)",
        requirements=("C1", "C9", "C10"),
        starter="cloud_core.session_controller:session_controllers",
        image="cloud_core:kamailio",
        on_request=False,
    )
)
declare(
    CloudService(
        name="telephone-network",
        title="telephone network",
        what="the carrier's end of the SIP trunk: answers its numbers, and calls in (baresip)",
        requirements=("C3", "C4"),
        starter="cloud_core.service:started_with_the_phones",
        image="cloud_core:pstn",
        on_request=False,
    )
)
