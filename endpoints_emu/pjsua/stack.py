"""PJSIP set up for the lab: TLS with the server verified, SRTP mandatory, marked packets, no sound card."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pjsua2 as pj

from endpoints_emu.events import Refusal
from endpoints_emu.pjsua.callback import guarded
from endpoints_emu.pjsua.settings import CA_FILE, AgentSettings

SRTP_SUITE = "AES_CM_128_HMAC_SHA1_80"
"""The one suite offered (RFC 4568 §6.2.1); PJSIP would offer AES_256_CM_HMAC_SHA1_80 first."""
_ON_MS = 30_000
"""A tone of this length, without a pause, over and over: a whole number of periods for every whole
frequency."""
_LOG_LEVEL = 4


class Endpoint(pj.Endpoint):  # type: ignore[misc]  # PJSIP has no types
    """The stack; tells why a TLS connection failed, and to which address it was."""

    def __init__(self, on_tls_failure: Callable[[Refusal, str, str], None]) -> None:
        """`on_tls_failure` gets the ground, PJSIP's words, and `address:port` of the far end (empty where
        it is not known)."""
        super().__init__()
        self._tell_failure = on_tls_failure
        self._far_ends: dict[int, str] = {}

    @guarded
    def onTransportState(self, prm: pj.OnTransportStateParam) -> None:  # noqa: N802 (PJSIP's name)
        known = "" if prm.tlsInfo.isEmpty() else prm.tlsInfo.remoteAddr
        if prm.state == pj.PJSIP_TP_STATE_CONNECTED:
            self._far_ends[int(prm.hnd)] = known
        if prm.state != pj.PJSIP_TP_STATE_DISCONNECTED:
            return
        far_end = self._far_ends.pop(int(prm.hnd), known) or known
        if not prm.lastError:
            return
        text = self.utilStrError(prm.lastError)
        problems = [] if prm.tlsInfo.isEmpty() else list(prm.tlsInfo.verifyMsgs)
        if not prm.tlsInfo.isEmpty() and prm.tlsInfo.verifyStatus:
            self._tell_failure(Refusal.CERTIFICATE, "; ".join(problems) or text, far_end)
        elif "certificate" in text.lower():
            self._tell_failure(Refusal.CERTIFICATE, text, far_end)
        elif "ssl" in text.lower() or "tls" in text.lower():
            self._tell_failure(Refusal.TLS, text, far_end)
        elif "timed out" in text.lower():
            self._tell_failure(Refusal.TIMEOUT, text, far_end)
        else:
            self._tell_failure(Refusal.UNREACHABLE, text, far_end)


def refusal(code: int, reason: str) -> tuple[Refusal, str]:
    """Why a registration failed, from its final status; PJSIP gives local failures 502 and 503, time-outs
    408."""
    detail = f"{code} {reason}"
    if code in (401, 403, 407):
        return Refusal.CREDENTIALS, detail
    if code == 408:
        return Refusal.TIMEOUT, detail
    lowered = reason.lower()
    if "resol" in lowered or "name" in lowered or "pjlib_util_edns" in lowered:
        return Refusal.NAME, detail
    return (Refusal.UNREACHABLE if code in (502, 503) else Refusal.REJECTED), detail


def start(endpoint: pj.Endpoint, settings: AgentSettings) -> None:
    """Create the library, its transport and its codecs, and start it; the agent's folder is the working
    directory."""
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.uaConfig.userAgent = "uclab softclient (PJSIP 2.15.1)"
    for server in settings.nameservers:
        config.uaConfig.nameserver.append(server)
    config.logConfig.level = _LOG_LEVEL
    config.logConfig.consoleLevel = _LOG_LEVEL
    config.medConfig.clockRate = 8000
    config.medConfig.sndClockRate = 8000
    config.medConfig.channelCount = 1
    config.medConfig.audioFramePtime = 20
    config.medConfig.noVad = True
    config.medConfig.ecTailLen = 0
    endpoint.libInit(config)
    transport = pj.TransportConfig()
    transport.port = settings.listen_port
    tls = transport.tlsConfig
    tls.CaListFile = CA_FILE
    tls.verifyServer = settings.verify_server
    tls.proto = pj.PJ_SSL_SOCK_PROTO_TLS1_2
    tls.qosParams = _marking(settings.dscp_signalling)
    tls.qosIgnoreError = False
    if settings.certificate:
        tls.certFile = tls.privKeyFile = settings.certificate
    transport.qosParams = _marking(settings.dscp_signalling)
    kind = pj.PJSIP_TRANSPORT_TLS if settings.transport == "tls" else pj.PJSIP_TRANSPORT_UDP
    endpoint.transportCreate(kind, transport)
    for codec in endpoint.codecEnum2():
        name = codec.codecId.partition("/")[0]
        rank = settings.codecs.index(name) if name in settings.codecs else None
        endpoint.codecSetPriority(codec.codecId, 0 if rank is None else 255 - rank)
    endpoint.libStart()
    endpoint.audDevManager().setNullDev()


def account(settings: AgentSettings, proxy_uri: str) -> pj.AccountConfig:
    """The subscriber's account at the registrar behind a proxy."""
    config = pj.AccountConfig()
    config.idUri = settings.aor
    if settings.registers:
        config.regConfig.registrarUri = settings.registrar_uri
        config.regConfig.registerOnAdd = False
        config.regConfig.timeoutSec = settings.registration_s
        config.regConfig.retryIntervalSec = 0  # the driver says when and where (RegistrationKeeper)
    config.sipConfig.proxies.append(proxy_uri)
    config.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", settings.user, 0, settings.password))
    # behind NAT the server finds the return path by the connection (RFC 5626): no second REGISTER is needed
    config.natConfig.contactRewriteUse = 0
    config.natConfig.viaRewriteUse = 0
    config.natConfig.sdpNatRewriteUse = 0
    config.natConfig.sipOutboundUse = 1
    config.natConfig.sipOutboundInstanceId = (
        f"<urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, settings.registrar_uri + settings.user)}>"
    )
    media = config.mediaConfig
    media.lockCodecEnabled = False  # no re-INVITE after the answer to narrow the list of codecs
    media.transportConfig.port, last = settings.media_ports
    media.transportConfig.portRange = last - media.transportConfig.port
    media.transportConfig.randomizePort = True
    media.transportConfig.qosParams = _marking(settings.dscp_media)
    media.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if settings.encrypt_media else pj.PJMEDIA_SRTP_DISABLED
    media.srtpSecureSignaling = 1 if settings.encrypt_media else 0
    suite = pj.SrtpCrypto()
    suite.name = SRTP_SUITE
    media.srtpOpt.cryptos.append(suite)
    media.srtpOpt.keyings.append(pj.PJMEDIA_SRTP_KEYING_SDES)
    return config


def tone(hz: int) -> pj.ToneGenerator:
    """An endless sine, to be connected to each call."""
    generator = pj.ToneGenerator()
    generator.createToneGenerator(8000, 1)
    description = pj.ToneDesc()
    description.freq1, description.freq2 = hz, 0
    description.on_msec, description.off_msec = _ON_MS, 0
    tones = pj.ToneDescVector()
    tones.append(description)
    generator.play(tones, True)
    return generator


def one_audio_stream() -> pj.CallOpParam:
    """Call settings: one audio stream, nothing else."""
    parameters = pj.CallOpParam(True)
    parameters.opt.audioCount = 1
    parameters.opt.videoCount = 0
    return parameters


def _marking(dscp: int) -> pj.pj_qos_params:
    """DSCP for a transport's socket."""
    parameters = pj.pj_qos_params()
    parameters.flags = pj.PJ_QOS_PARAM_HAS_DSCP
    parameters.dscp_val = dscp
    return parameters
