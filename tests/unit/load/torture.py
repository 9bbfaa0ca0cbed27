# ruff: noqa: E501 (messages stand as they are printed)
"""The torture messages of RFC 4475, all 49 of them, and what an agent makes of each.

They stand as the RFC prints them: `<allOneLine>` joined, `<hex>` and `<repeat>` carried out. Shortened is only
the S/MIME signature in mpart01, whose bytes the agent never looks at.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Torture:
    """One message."""

    section: str
    name: str
    data: bytes
    parses: bool
    """Whether `parse` takes it; where not, it is answered with `status`, or dropped if that is 0."""
    status: int
    """Of the final answer to a request with no call behind it; 0: none (a response, or nothing to answer)."""

    def __str__(self) -> str:
        return self.name


def sdp(address: str) -> str:
    """The body of most messages."""
    return (
        f"v=0\no=mhandley 29739 7272939 IN IP4 {address}\ns=-\nc=IN IP4 {address}\nt=0 0\n"
        "m=audio 49217 RTP/AVP 0 12\nm=video 3227 RTP/AVP 31\na=rtpmap:31 LPC\n"
    )


def one(section: str, name: str, text: str, parses: bool, status: int) -> Torture:
    return Torture(section, name, text.replace("\n", "\r\n").encode(), parses, status)


_LONG_VIAS = "".join(
    f"{spelled}: SIP/2.0/TCP sip{number}.example.com\n"
    for number, spelled in zip(
        range(33, 0, -1),
        [
            "Via",
            "v",
            "V",
            "Via",
            "ViA",
            "VIa",
            "VIA",
            "via",
            "viA",
            "vIa",
            "vIA",
            "V ",
            "v ",
            "V  ",
            "v  ",
            "Via ",
            "Via  ",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
            "Via",
        ],
        strict=True,
    )
)

MESSAGES: tuple[Torture, ...] = (
    one(
        "3.1.1.1",
        "wsinv",
        "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\nTO :\n"
        " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n\n"
        'from   : "J Rosenberg \\\\\\""       <sip:jdrosen@example.com>\n  ;\n  tag = 98asjd8\n'
        "MaX-fOrWaRdS: 0068\nCall-ID: wsinv.ndaksdj@192.0.2.1\nContent-Length   : 150\ncseq: 0009\n  INVITE\n"
        "Via  : SIP  /   2.0\n /UDP\n    192.0.2.2;branch=390skdjuw\ns :\n"
        "NewFangledHeader:   newfangled value\n continued newfangled value\n"
        "UnknownHeaderWithUnusualValue: ;;,,;;,;\nContent-Type: application/sdp\nRoute:\n"
        " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\n"
        "v:  SIP  / 2.0  / TCP     spindle.example.com   ;\n  branch  =   z9hG4bK9ikj8  ,\n"
        " SIP  /    2.0   / UDP  192.168.255.111   ; branch=\n z9hG4bK30239\n"
        'm:"Quoted string \\"\\"" <sip:jdrosen@example.com> ; newparam =\n      newvalue ;\n'
        "  secondparam ; q = 0.33\n\n" + sdp("192.0.2.3"),
        True,
        481,
    ),
    one(
        "3.1.1.2",
        "intmeth",
        "!interesting-Method0123456789_*+`.%indeed'~ sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        ":&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0\n"
        "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~\n"
        'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" '
        "<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>\n"
        "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"работающий\""
        ";tag=_token~1'+`*%!-.\nCall-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{\n"
        "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~\nMax-Forwards: 255\n"
        "extensionHeader-!.%*+_`'~:\ufeff大停電\nContent-Length: 0\n\n",
        True,
        501,
    ),
    one(
        "3.1.1.3",
        "esc01",
        "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0\nTo: sip:%75se%72@example.com\n"
        "From: <sip:I%20have%20spaces@example.net>;tag=938\nMax-Forwards: 87\n"
        "i: esc01.239409asdfakjkn23onasd0-3234\nCSeq: 234234 INVITE\n"
        "Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\nC: application/sdp\nContact:\n"
        "  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>\nContent-Length: 150\n\n"
        + sdp("192.0.2.1"),
        True,
        404,
    ),
    one(
        "3.1.1.4",
        "escnull",
        "REGISTER sip:example.com SIP/2.0\nTo: sip:null-%00-null@example.com\n"
        "From: sip:null-%00-null@example.com;tag=839923423\nMax-Forwards: 70\n"
        "Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd\nCSeq: 14398234 REGISTER\n"
        "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\nContact: <sip:%00@host5.example.com>\n"
        "Contact: <sip:%00%00@host5.example.com>\nL:0\n\n",
        True,
        405,
    ),
    one(
        "3.1.1.5",
        "esc02",
        'RE%47IST%45R sip:registrar.example.com SIP/2.0\nTo: "%Z%45" <sip:resource@example.com>\n'
        'From: "%Z%45" <sip:resource@example.com>;tag=f232jadfj23\n'
        "Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf\n"
        "Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234\nCSeq: 29344 RE%47IST%45R\n"
        "Max-Forwards: 70\nContact: <sip:alias1@host1.example.com>\n"
        "C%6Fntact: <sip:alias2@host2.example.com>\nContact: <sip:alias3@host3.example.com>\nl: 0\n\n",
        True,
        501,
    ),
    one(
        "3.1.1.6",
        "lwsdisp",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\n"
        "From: caller<sip:caller@example.com>;tag=323\nMax-Forwards: 70\n"
        "Call-ID: lwsdisp.1234abcd@funky.example.com\nCSeq: 60 OPTIONS\n"
        "Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw\nl: 0\n\n",
        True,
        200,
    ),
    one(
        "3.1.1.7",
        "longreq",
        "INVITE sip:user@example.com SIP/2.0\n"
        f'To: "I have a user name of {"extreme" * 10} proportion"<sip:user@example.com:6000;'
        f"unknownparam1=very{'long' * 20}value;longparam{'name' * 25}=shortvalue;"
        f"very{'long' * 25}ParameterNameWithNoValue>\n"
        f"F: sip:{'amazinglylongcallername' * 5}@example.net;tag=12{'982' * 50}424;"
        f"unknownheaderparam{'name' * 20}=unknowheaderparam{'value' * 15};"
        f"unknownValueless{'paramname' * 10}\nCall-ID: longreq.one{'really' * 20}longcallid\n"
        f"CSeq: 3882340 INVITE\nUnknown-{'Long' * 20}-Name: unknown-{'long' * 20}-value;"
        f"unknown-{'long' * 20}-parameter-name = unknown-{'long' * 20}-parameter-value\n"
        f"{_LONG_VIAS}Via: SIP/2.0/TCP host.example.com;received=192.0.2.5;branch=very{'long' * 50}branchvalue\n"
        f"Max-Forwards: 70\nContact: <sip:{'amazinglylongcallername' * 5}@host5.example.net>\n"
        "Content-Type: application/sdp\nl: 150\n\n" + sdp("192.0.2.1"),
        True,
        404,
    ),
    one(
        "3.1.1.8",
        "dblreq",
        "REGISTER sip:example.com SIP/2.0\nTo: sip:j.user@example.com\n"
        "From: sip:j.user@example.com;tag=43251j3j324\nMax-Forwards: 8\n"
        "I: dblreq.0ha0isndaksdj99sdfafnl3lk233412\nContact: sip:j.user@host.example.com\nCSeq: 8 REGISTER\n"
        "Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492\nContent-Length: 0\n\n\n"
        "INVITE sip:joe@example.com SIP/2.0\nt: sip:joe@example.com\nFrom: sip:caller@example.net;tag=141334\n"
        "Max-Forwards: 8\nCall-ID: dblreq.0ha0isnda977644900765@192.0.2.15\nCSeq: 8 INVITE\n"
        "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234\nContent-Type: application/sdp\n"
        "Content-Length: 150\n\n" + sdp("192.0.2.15"),
        True,
        405,
    ),
    one(
        "3.1.1.9",
        "semiuri",
        "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0\nTo: sip:j_user@example.com\n"
        "From: sip:caller@example.org;tag=33242\nMax-Forwards: 3\nCall-ID: semiuri.0ha0isndaksdj\n"
        "CSeq: 8 OPTIONS\nAccept: application/sdp, application/pkcs7-mime,\n"
        "        multipart/mixed, multipart/signed,\n        message/sip, message/sipfrag\n"
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw\nl: 0\n\n",
        True,
        200,
    ),
    one(
        "3.1.1.10",
        "transports",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\n"
        "From: <sip:caller@example.com>;tag=323\nMax-Forwards: 70\n"
        "Call-ID:  transports.kijh4akdnaqjkwendsasfdj\nAccept: application/sdp\nCSeq: 60 OPTIONS\n"
        "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw\n"
        "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf\n"
        "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj\n"
        "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en\n"
        "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee\nl: 0\n\n",
        True,
        200,
    ),
    Torture(
        "3.1.1.11",
        "mpart01",
        b"MESSAGE sip:kumiko@example.org SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070"
        b";branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport\r\nMax-Forwards: 70\r\n"
        b"Route: <sip:127.0.0.1:5080>\r\nIdentity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuLIK0YWVKZhKv9Mj8UeX"
        b"qkMVbnVq37CD+813gvYjcBUaZngQmXc9WNZSDNGCzA+fWl9MEUHWIZo1CeJebdY/XlgKeTa0Olvq0rt70Q5jiSfbqMJmQFteeivUhkMW"
        b"YUA=\r\nContact: <sip:fluffy@127.0.0.1:5070>\r\nTo: <sip:kumiko@example.org>\r\n"
        b"From: <sip:fluffy@example.com>;tag=2fb0dcc9\r\nCall-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..\r\n"
        b"CSeq: 1 MESSAGE\r\nContent-Transfer-Encoding: binary\r\n"
        b"Content-Type: multipart/mixed;boundary=7a9cbec02ceef655\r\nDate: Sat, 15 Oct 2005 04:44:56 GMT\r\n"
        b"User-Agent: SIPimp.org/0.2.5 (curses)\r\nContent-Length: 162\r\n\r\n--7a9cbec02ceef655\r\n"
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n--7a9cbec02ceef655\r\n"
        b"Content-Type: application/octet-stream\r\n\r\n0\x82\x01R\x06\t*\x86\x00\r\n\r\n".ljust(
            1100, b"\xf7"
        )[:1100],
        True,
        405,
    ),
    one(
        "3.1.1.12",
        "unreason",
        "SIP/2.0 200 = 2**3 * 5**2 но сто девяносто девять - простое\n"
        "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\nCall-ID: unreason.1234ksdfak3j2erwedfsASdf\n"
        "CSeq: 35 INVITE\nFrom: sip:user@example.com;tag=11141343\nTo: sip:user@example.edu;tag=2229\n"
        "Content-Length: 154\nContent-Type: application/sdp\nContact: <sip:user@host198.example.com>\n\n"
        + sdp("192.0.2.198"),
        True,
        0,
    ),
    one(
        "3.1.1.13",
        "noreason",
        "SIP/2.0 100 \nVia: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\n"
        "Call-ID: noreason.asndj203insdf99223ndf\nCSeq: 35 INVITE\nFrom: <sip:user@example.com>;tag=39ansfi3\n"
        "To: <sip:user@example.edu>;tag=902jndnke3\nContent-Length: 0\n"
        "Contact: <sip:user@host105.example.com>\n\n",
        True,
        0,
    ),
    one(
        "3.1.2.1",
        "badinv01",
        "INVITE sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\n"
        "From: sip:caller@example.net;tag=134161461246\nMax-Forwards: 7\n"
        "Call-ID: badinv01.0ha0isndaksdjasdf3234nas\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.15;;,;,,\n"
        'Contact: "Joe" <sip:joe@example.org>;;;;\nContent-Length: 152\nContent-Type: application/sdp\n\n'
        + sdp("192.0.2.15"),
        True,
        400,
    ),
    one(
        "3.1.2.2",
        "clerr",
        "INVITE sip:user@example.com SIP/2.0\nMax-Forwards: 80\nTo: sip:j.user@example.com\n"
        "From: sip:caller@example.net;tag=93942939o2\nContact: <sip:caller@hungry.example.net>\n"
        "Call-ID: clerr.0ha0isndaksdjweiafasdk3\nCSeq: 8 INVITE\n"
        "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523\nContent-Type: application/sdp\n"
        "Content-Length: 9999\n\n" + sdp("192.0.2.155"),
        False,
        400,
    ),
    one(
        "3.1.2.3",
        "ncl",
        "INVITE sip:user@example.com SIP/2.0\nMax-Forwards: 254\nTo: sip:j.user@example.com\n"
        "From: sip:caller@example.net;tag=32394234\nCall-ID: ncl.0ha0isndaksdj2193423r542w35\nCSeq: 0 INVITE\n"
        "Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw\nContact: <sip:caller@example53.example.net>\n"
        "Content-Type: application/sdp\nContent-Length: -999\n\n" + sdp("192.0.2.53"),
        False,
        400,
    ),
    one(
        "3.1.2.4",
        "scalar02",
        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3\n"
        "To: <sip:user@example.com>\nFrom: <sip:user@example.com>;tag=239232jh3\n"
        "CSeq: 36893488147419103232 REGISTER\nCall-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32\n"
        "Max-Forwards: 300\nExpires: 10000000000000000000000000000000000000000000\n"
        "Contact: <sip:user@host129.example.com>\n  ;expires=280297596632815\nContent-Length: 0\n\n",
        False,
        400,
    ),
    one(
        "3.1.2.5",
        "scalarlg",
        "SIP/2.0 503 Service Unavailable\n"
        "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129\n"
        "To: <sip:user@example.com>\nFrom: <sip:other@example.net>;tag=2easdjfejw\n"
        "CSeq: 9292394834772304023312 OPTIONS\nCall-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r\n"
        "Retry-After: 949302838503028349304023988\n"
        'Warning: 1812 overture "In Progress"\nContent-Length: 0\n\n',
        False,
        0,
    ),
    one(
        "3.1.2.6",
        "quotbal",
        'INVITE sip:user@example.com SIP/2.0\nTo: "Mr. J. User <sip:j.user@example.com>\n'
        "From: sip:caller@example.net;tag=93334\nMax-Forwards: 10\nCall-ID: quotbal.aksdj\n"
        "Contact: <sip:caller@host59.example.net>\nCSeq: 8 INVITE\n"
        "Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234\nContent-Type: application/sdp\n"
        "Content-Length: 152\n\n" + sdp("192.0.2.15"),
        True,
        400,
    ),
    one(
        "3.1.2.7",
        "ltgtruri",
        "INVITE <sip:user@example.com> SIP/2.0\nTo: sip:user@example.com\n"
        "From: sip:caller@example.net;tag=39291\nMax-Forwards: 23\nCall-ID: ltgtruri.1@192.0.2.5\n"
        "CSeq: 1 INVITE\nVia: SIP/2.0/UDP 192.0.2.5\nContact: <sip:caller@host5.example.net>\n"
        "Content-Type: application/sdp\nContent-Length: 159\n\n"
        + sdp("192.0.2.5").replace("t=0 0", "t=3149328700 0"),
        False,
        400,
    ),
    one(
        "3.1.2.8",
        "lwsruri",
        "INVITE sip:user@example.com; lr SIP/2.0\nTo: sip:user@example.com;tag=3xfe-9921883-z9f\n"
        "From: sip:caller@example.net;tag=231413434\nMax-Forwards: 5\n"
        "Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423\nCSeq: 2130706432 INVITE\n"
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395\nContact: <sip:caller@host1.example.net>\n"
        "Content-Type: application/sdp\nContent-Length: 159\n\n"
        + sdp("192.0.2.1").replace("t=0 0", "t=3149328700 0"),
        False,
        400,
    ),
    one(
        "3.1.2.9",
        "lwsstart",
        "INVITE  sip:user@example.com  SIP/2.0\nMax-Forwards: 8\nTo: sip:user@example.com\n"
        "From: sip:caller@example.net;tag=8814\nCall-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com\n"
        "CSeq: 1893884 INVITE\nVia: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923\n"
        "Contact: <sip:caller@host1.example.net>\nContent-Type: application/sdp\nContent-Length: 150\n\n"
        + sdp("192.0.2.1"),
        False,
        400,
    ),
    one(
        "3.1.2.10",
        "trws",
        "OPTIONS sip:remote-target@example.com SIP/2.0  \n"
        "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093\nTo: <sip:remote-target@example.com>\n"
        "From: <sip:local-resource@example.com>;tag=329429089\nCall-ID: trws.oicu34958239neffasdhr2345r\n"
        "Accept: application/sdp\nCSeq: 238923 OPTIONS\nMax-Forwards: 70\nContent-Length: 0\n\n",
        False,
        400,
    ),
    one(
        "3.1.2.11",
        "escruri",
        "INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0\nTo: sip:user@example.com\n"
        "From: sip:caller@example.net;tag=341518\nMax-Forwards: 7\nContact: <sip:caller@host39923.example.net>\n"
        "Call-ID: escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5\nCSeq: 149209342 INVITE\n"
        "Via: SIP/2.0/UDP host-of-the-hour.example.com;branch=z9hG4bKkdjuw\nContent-Type: application/sdp\n"
        "Content-Length: 150\n\n" + sdp("192.0.2.1"),
        True,
        400,
    ),
    one(
        "3.1.2.12",
        "baddate",
        "INVITE sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=2234923\n"
        "Max-Forwards: 70\nCall-ID: baddate.239423mnsadf3j23lj42--sedfnm234\nCSeq: 1392934 INVITE\n"
        "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\nDate: Fri, 01 Jan 2010 16:00:00 EST\n"
        "Contact: <sip:caller@host5.example.net>\nContent-Type: application/sdp\nContent-Length: 150\n\n"
        + sdp("192.0.2.5"),
        True,
        404,  # the RFC lets an element ignore a field that it does not use
    ),
    one(
        "3.1.2.13",
        "regbadct",
        "REGISTER sip:example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=998332\n"
        "Max-Forwards: 70\nCall-ID: regbadct.k345asrl3fdbv@10.0.0.1\nCSeq: 1 REGISTER\n"
        "Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw\n"
        "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E\nl: 0\n\n",
        True,
        400,
    ),
    one(
        "3.1.2.14",
        "badaspec",
        "OPTIONS sip:user@example.org SIP/2.0\nVia: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234\n"
        'Max-Forwards: 70\nFrom: "Bell, Alexander" <sip:a.g.bell@example.com>;tag=433423\n'
        'To: "Watson, Thomas" < sip:t.watson@example.org >\n'
        "Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3\nAccept: application/sdp\n"
        "CSeq: 3923239 OPTIONS\nl: 0\n\n",
        True,
        400,
    ),
    one(
        "3.1.2.15",
        "baddn",
        "OPTIONS sip:t.watson@example.org SIP/2.0\nVia:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw\n"
        "Max-Forwards:      70\nFrom:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43\n"
        "To:      Watson, Thomas <sip:t.watson@example.org>\n"
        "Call-ID: baddn.31415@c.example.com\nAccept: application/sdp\nCSeq:    3923239 OPTIONS\nl: 0\n\n",
        True,
        400,
    ),
    one(
        "3.1.2.16",
        "badvers",
        "OPTIONS sip:t.watson@example.org SIP/7.0\nVia:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw\n"
        "Max-Forwards:     70\nFrom:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe\n"
        "To:      T. Watson <sip:t.watson@example.org>\nCall-ID: badvers.31417@c.example.com\n"
        "CSeq:    1 OPTIONS\nl: 0\n\n",
        False,
        505,
    ),
    one(
        "3.1.2.17",
        "mismatch01",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=34525\n"
        "Max-Forwards: 6\nCall-ID: mismatch01.dj0234sxdfl3\nCSeq: 8 INVITE\n"
        "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw\nl: 0\n\n",
        False,
        400,
    ),
    one(
        "3.1.2.18",
        "mismatch02",
        "NEWMETHOD sip:user@example.com SIP/2.0\nTo: sip:j.user@example.com\n"
        "From: sip:caller@example.net;tag=34525\nMax-Forwards: 6\nCall-ID: mismatch02.dj0234sxdfl3\n"
        "CSeq: 8 INVITE\nContact: <sip:caller@host.example.net>\n"
        "Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw\nContent-Type: application/sdp\nl: 138\n\n"
        + sdp("192.0.2.1"),
        False,
        400,
    ),
    one(
        "3.1.2.19",
        "bigcode",
        "SIP/2.0 4294967301 better not break the receiver\n"
        "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe\nCall-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i\n"
        "CSeq: 353494 INVITE\nFrom: <sip:user@example.com>;tag=39ansfi3\n"
        "To: <sip:user@example.edu>;tag=902jndnke3\nContent-Length: 0\n"
        "Contact: <sip:user@host105.example.com>\n\n",
        False,
        0,
    ),
    one(
        "3.2.1",
        "badbranch",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.org;tag=33242\n"
        "Max-Forwards: 3\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\nAccept: application/sdp\n"
        "Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n\nCSeq: 8 OPTIONS\nl: 0\n\n",
        True,
        200,
    ),
    one(
        "3.3.1",
        "insuf",
        "INVITE sip:user@example.com SIP/2.0\nCSeq: 193942 INVITE\n"
        "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf\nContent-Type: application/sdp\nl: 152\n\n"
        + sdp("192.0.2.95"),
        False,
        400,
    ),
    one(
        "3.3.2",
        "unkscm",
        "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0\nTo: sip:user@example.com\n"
        "From: sip:caller@example.net;tag=384\nMax-Forwards: 3\nCall-ID: unkscm.nasdfasser0q239nwsdfasdkl34\n"
        "CSeq: 3923423 OPTIONS\nVia: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\n"
        "Content-Length: 0\n\n",
        True,
        416,
    ),
    one(
        "3.3.3",
        "novelsc",
        "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0\nTo: sip:user@example.com\n"
        "From: sip:caller@example.net;tag=384\nMax-Forwards: 3\nCall-ID: novelsc.asdfasser0q239nwsdfasdkl34\n"
        "CSeq: 3923423 OPTIONS\nVia: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234\n"
        "Content-Length: 0\n\n",
        True,
        416,
    ),
    one(
        "3.3.4",
        "unksm2",
        "REGISTER sip:example.com SIP/2.0\nTo: isbn:2983792873\nFrom: <http://www.example.com>;tag=3234233\n"
        "Call-ID: unksm2.daksdj@hyphenated-host.example.com\nCSeq: 234902 REGISTER\nMax-Forwards: 70\n"
        "Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw\nContact: <name:John_Smith>\nl: 0\n\n",
        True,
        405,
    ),
    one(
        "3.3.5",
        "bext01",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:j_user@example.com\nFrom: sip:caller@example.net;tag=242etr\n"
        "Max-Forwards: 6\nCall-ID: bext01.0ha0isndaksdj\nRequire: nothingSupportsThis, nothingSupportsThisEither\n"
        "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis\nCSeq: 8 OPTIONS\n"
        "Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw\nContent-Length: 0\n\n",
        True,
        420,
    ),
    one(
        "3.3.6",
        "invut",
        "INVITE sip:user@example.com SIP/2.0\nContact: <sip:caller@host5.example.net>\n"
        "To: sip:j.user@example.com\nFrom: sip:caller@example.net;tag=8392034\nMax-Forwards: 70\n"
        "Call-ID: invut.0ha0isndaksdjadsfij34n23d\nCSeq: 235448 INVITE\n"
        "Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw\nContent-Type: application/unknownformat\n"
        'Content-Length: 40\n\n<audio>\n <pcmu port="443"/>\n</audio>\n   ',
        True,
        415,
    ),
    one(
        "3.3.7",
        "regaut01",
        "REGISTER sip:example.com SIP/2.0\nTo: sip:j.user@example.com\n"
        "From: sip:j.user@example.com;tag=87321hj23128\nMax-Forwards: 8\nCall-ID: regaut01.0ha0isndaksdj\n"
        "CSeq: 9338 REGISTER\nVia: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw\n"
        "Authorization: NoOneKnowsThisScheme opaque-data=here\nContent-Length:0\n\n",
        True,
        405,
    ),
    one(
        "3.3.8",
        "multi01",
        "INVITE sip:user@company.com SIP/2.0\nContact: <sip:caller@host25.example.net>\n"
        "Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw\nMax-Forwards: 70\nCSeq: 5 INVITE\n"
        "Call-ID: multi01.98asdh@192.0.2.1\nCSeq: 59 INVITE\nCall-ID: multi01.98asdh@192.0.2.2\n"
        "From: sip:caller@example.com;tag=3413415\nTo: sip:user@example.com\nTo: sip:other@example.net\n"
        "From: sip:caller@example.net;tag=2923420123\nContent-Type: application/sdp\nl: 154\n"
        "Contact: <sip:caller@host36.example.net>\nMax-Forwards: 5\n\n" + sdp("192.0.2.25"),
        False,
        400,
    ),
    one(
        "3.3.9",
        "mcl01",
        "OPTIONS sip:user@example.com SIP/2.0\nVia: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423\n"
        "To: sip:user@example.com\nFrom: sip:other@example.net;tag=3923942\n"
        "Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf\nCSeq: 15932 OPTIONS\nContent-Length: 13\n"
        "Max-Forwards: 60\nContent-Length: 5\nContent-Type: text/plain\n\n"
        "There's no way to know how many octets are supposed to be here.\n",
        False,
        400,
    ),
    one(
        "3.3.10",
        "bcast",
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923\n"
        "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\n"
        "Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf\nCSeq: 35 INVITE\n"
        "From: sip:user@example.com;tag=11141343\nTo: sip:user@example.edu;tag=2229\nContent-Length: 154\n"
        "Content-Type: application/sdp\nContact: <sip:user@host28.example.com>\n\n" + sdp("192.0.2.198"),
        True,
        0,
    ),
    one(
        "3.3.11",
        "zeromf",
        "OPTIONS sip:user@example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:caller@example.net;tag=3ghsd41\n"
        "Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas\nCSeq: 39234321 OPTIONS\n"
        "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw2349i\nMax-Forwards: 0\nContent-Length: 0\n\n",
        True,
        200,
    ),
    one(
        "3.3.12",
        "cparam01",
        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\n"
        "Max-Forwards: 70\nFrom: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe\nTo: sip:watson@example.com\n"
        "Call-ID: cparam01.70710@saturn.example.com\nCSeq: 2 REGISTER\n"
        "Contact: sip:+19725552222@gw1.example.net;unknownparam\nl: 0\n\n",
        True,
        405,
    ),
    one(
        "3.3.13",
        "cparam02",
        "REGISTER sip:example.com SIP/2.0\nVia: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw\n"
        "Max-Forwards: 70\nFrom: sip:watson@example.com;tag=838293\nTo: sip:watson@example.com\n"
        "Call-ID: cparam02.70710@saturn.example.com\nCSeq: 3 REGISTER\n"
        "Contact: <sip:+19725552222@gw1.example.net;unknownparam>\nl: 0\n\n",
        True,
        405,
    ),
    one(
        "3.3.14",
        "regescrt",
        "REGISTER sip:example.com SIP/2.0\nTo: sip:user@example.com\nFrom: sip:user@example.com;tag=8\n"
        "Max-Forwards: 70\nCall-ID: regescrt.k345asrl3fdbv@192.0.2.1\nCSeq: 14398234 REGISTER\n"
        "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw\n"
        "M: <sip:user@example.com?Route=%3Csip:sip.example.com%3E>\nL:0\n\n",
        True,
        405,
    ),
    one(
        "3.3.15",
        "sdp01",
        "INVITE sip:user@example.com SIP/2.0\nTo: sip:j_user@example.com\nContact: <sip:caller@host15.example.net>\n"
        "From: sip:caller@example.net;tag=234\nMax-Forwards: 5\nCall-ID: sdp01.ndaksdj9342dasdd\n"
        "Accept: text/nobodyKnowsThis\nCSeq: 8 INVITE\nVia: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw\n"
        "Content-Length: 150\nContent-Type: application/sdp\n\n" + sdp("192.0.2.5"),
        True,
        406,
    ),
    one(
        "3.4.1",
        "inv2543",
        "INVITE sip:UserB@example.com SIP/2.0\nVia: SIP/2.0/UDP iftgw.example.com\n"
        "From: <sip:+13035551111@ift.client.example.net;user=phone>\nRecord-Route: <sip:UserB@example.com;maddr=ss1.example.com>\n"
        "To: sip:+16505552222@ss1.example.net;user=phone\nCall-ID: inv2543.1717@ift.client.example.com\n"
        "CSeq: 56 INVITE\nContent-Type: application/sdp\n\n"
        "v=0\no=mhandley 29739 7272939 IN IP4 192.0.2.5\ns=-\nc=IN IP4 192.0.2.5\nt=0 0\n"
        "m=audio 49217 RTP/AVP 0\n",
        True,
        404,
    ),
)
