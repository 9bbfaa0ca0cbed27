"""Lines that change while packets are on them. Scenes measure, the tests judge."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

from tests.integration import emulation_plans as plans
from tests.integration.emulation_scenes import Result, Stream, echo_once, main, scene
from uclab.emulation.build.apply import build, tear_down
from uclab.emulation.build.line_control import LineControl, NotPossible
from uclab.emulation.link import veth
from uclab.emulation.linux.taps import start_taps
from uclab.emulation.mininet.network import LabNet
from uclab.emulation.ovs.backends import detect
from uclab.lab.events import EventLog
from uclab.lab.line_changes import drive
from uclab.plan.resolve.queues import fifo
from uclab.plan.schema.plan import Impairment, LineSchedule, LineStep, Tap
from uclab.plan.wan.brown_out import from_figures


async def sent(net: LabNet, packets: int, every_s: float, size: int = 172) -> Result:
    """A stream from `left` to `right`."""
    stream = Stream(net.namespaces["left"], net.namespaces["right"], "10.0.0.2")
    await asyncio.to_thread(stream.run, packets, every_s, size)
    return stream.result()


@scene
async def brown_out(folder: Path) -> Result:
    """A line of 20 ms and 1 Mbit/s, in a brown-out, and after it; and the direction that is no line."""
    line = Impairment("eth0", 20.0, limit_packets=2000, seed=7)
    queue = fifo("eth0", 1000)
    planned = plans.pair(left={"impairments": (line,), "queues": (queue,)})
    variants = detect()
    # a large lab has thousands of descriptors open: the line's own are above 1023 then
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    net = await build(planned, folder, variants)
    for descriptor in taken:
        os.close(descriptor)
    control = LineControl(planned, net)
    echo_once(net["left"], "10.0.0.2")
    found: Result = {"variant": variants.impairment, "before": await sent(net, 200, 0.005)}
    states = await asyncio.to_thread(
        control.brown_out, "left-right", from_figures({"delay": "+80", "loss": "20"})
    )
    found["states"] = [state.as_record() for state in states]
    found["during"] = await sent(net, 500, 0.004)
    await asyncio.to_thread(control.clear_up, "left-right")
    found["after"] = await sent(net, 200, 0.005)
    # 20 packets of 1,250 bytes at once: 1 Mbit/s lets one through in 10 ms, 250 kbit/s in 40 ms
    found["rate before"] = await sent(net, 20, 0.0, size=1250 - 28)
    await asyncio.to_thread(control.brown_out, "left-right", from_figures({"rate": "250"}))
    found["rate during"] = await sent(net, 20, 0.0, size=1250 - 28)
    await asyncio.to_thread(control.clear_up, "left-right")
    found["rate after"] = await sent(net, 20, 0.0, size=1250 - 28)
    try:
        await asyncio.to_thread(control.brown_out, "left-right", from_figures({"loss": "1"}), leaving="right")
    except NotPossible as error:
        found["no line"] = str(error)
    await tear_down(net)
    return found


@scene
async def timetable(folder: Path) -> Result:
    """Two turns of 3 s of a line of 20 ms, which in each turn has 60 ms more from 1 s on and an outage from
    2 s to 2.5 s: each packet's time of sending in its turn, and its delay, None where it was lost."""
    line = Impairment("eth0", 20.0, limit_packets=2000, seed=7)
    steps = (LineStep(0.0), LineStep(1.0, None, 60.0), LineStep(2.0, None, 0.0, 0.0, 100.0), LineStep(2.5))
    planned = replace(
        plans.pair(left={"impairments": (line,)}), schedules=(LineSchedule("left", "eth0", steps, 3.0),)
    )
    variants = detect()
    net = await build(planned, folder, variants)
    control = LineControl(planned, net)
    echo_once(net["left"], "10.0.0.2")
    events = EventLog(folder / "events.jsonl")
    began = time.monotonic()
    driving = asyncio.create_task(drive(planned.schedules, control, events))
    stream = Stream(net.namespaces["left"], net.namespaces["right"], "10.0.0.2")
    await asyncio.to_thread(stream.run, 1500, 0.004)
    driving.cancel()
    await asyncio.gather(driving, return_exceptions=True)
    await tear_down(net)
    events.close()
    seen = dict(zip(stream.order, stream.delays_ms, strict=True))
    told = [json.loads(text) for text in (folder / "events.jsonl").read_text().splitlines()]
    return {
        "variant": variants.impairment,
        "packets": [[(at - began) % 3.0, seen.get(number)] for number, at in enumerate(stream.sent_at)],
        "events": [[event["kind"], event["time"] - told[0]["time"], event["detail"]] for event in told],
    }


@scene
async def rate_timetable(folder: Path) -> Result:
    """20 packets of 1,264 bytes at once over a line of 1 Mbit/s that has a quarter of it from 3 to 6 s."""
    line = Impairment("eth0", 20.0, limit_packets=2000, seed=7)
    steps = (LineStep(0.0), LineStep(3.0, 250), LineStep(6.0))
    planned = replace(
        plans.pair(left={"impairments": (line,), "queues": (fifo("eth0", 1000),)}),
        schedules=(LineSchedule("left", "eth0", steps),),
    )
    net = await build(planned, folder, detect())
    control = LineControl(planned, net)
    echo_once(net["left"], "10.0.0.2")
    events = EventLog(folder / "events.jsonl")
    began = time.monotonic()
    driving = asyncio.create_task(drive(planned.schedules, control, events))
    found: Result = {}
    for moment, at_s in (("before", 0.2), ("during", 3.2), ("after", 6.2)):
        await asyncio.sleep(max(0.0, began + at_s - time.monotonic()))
        found[moment] = await sent(net, 20, 0.0, size=1250 - 28)
    await driving  # it ends with the last step
    await tear_down(net)
    events.close()
    return found


@scene
async def black_hole(folder: Path) -> Result:
    """A line that black-holes everything, in both directions and in one; at a device, and at a switch's
    port."""
    planned = plans.line(5.0)
    net = await build(planned, folder, detect())
    control = LineControl(planned, net)
    taps = tuple(Tap(f"{node}:eth0", node, "eth0", node, False) for node in ("left", "right"))
    running = await start_taps(taps, net.namespaces, folder)
    echo_once(net["left"], "10.0.0.2")
    await asyncio.to_thread(control.drop_all, "left-right")
    found: Result = {
        "during": (await sent(net, 50, 0.002))["received"],
        "carrier": "eth0" in veth.operational(net.namespaces["left"]),
    }
    # nobody answers ARP either
    net["left"].cmd("ip neigh flush all")
    found["echo without ARP"] = echo_once(net["left"], "10.0.0.2")
    found["neighbour"] = net["left"].cmd("ip neigh show 10.0.0.2").split()
    await asyncio.to_thread(control.drop_all, "left-right", on=False)
    # the neighbour has failed to answer ARP: the kernel asks again in its own time
    found["tries"] = next((n for n in range(1, 6) if echo_once(net["left"], "10.0.0.2") is not None), None)
    found["after"] = (await sent(net, 50, 0.002))["received"]
    await asyncio.to_thread(control.drop_all, "left-right", leaving="right")
    found["one way: there"] = (await sent(net, 50, 0.002))["received"]
    found["one way: echo"] = echo_once(net["left"], "10.0.0.2")
    await asyncio.to_thread(control.drop_all, "left-right", leaving="right", on=False)
    counts = await running.stop()
    found["captured"] = {count.label: count.captured for count in counts}
    await tear_down(net)
    return found


@scene
async def black_hole_at_a_switch(folder: Path) -> Result:
    """Frames of a phone to the wall through its switch, while the phone's cable black-holes them, and
    after."""
    planned = plans.desk()
    net = await build(planned, folder, detect())
    control = LineControl(planned, net)
    found: Result = {}
    with (
        net.namespaces["wall"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wall,
        net.namespaces["phone"].socket(socket.AF_INET, socket.SOCK_DGRAM) as phone,
    ):
        wall.settimeout(0.5)
        phone.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for moment, on in (("before", None), ("during", True), ("after", False)):
            if on is not None:
                await asyncio.to_thread(control.drop_all, "phone-phone-sw", on=on)
            phone.sendto(b"?", ("10.0.110.255", 9))
            try:
                found[moment] = bool(wall.recv(2048))
            except TimeoutError:
                found[moment] = False
    await tear_down(net)
    return found


if __name__ == "__main__":
    asyncio.run(main())
