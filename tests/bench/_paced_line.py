"""A Modbus line with the pace of a real wire, on a pseudo-terminal: a program of its own, so that its time is its own.

A pseudo-terminal hands bytes over at once. So a question counts as heard when its characters would have passed, the slave
waits the standard's 3.5 characters and no longer, and each byte of the answer is given when the wire would have given it.
Arguments: baudrate, bits of a character, number of units, registers of a reply. It prints the port's path, then a line
for each question: seconds since the start, unit, first register, and by how much the silence before it was too short. Words on
its standard input are the units that are dead from now on.
"""

import os
import selectors
import struct
import sys
import time
import tty

from pymodbus.framer import FramerRTU

QUESTION_BYTES = 8


def main(baudrate: int, bits: int, units: int) -> None:
    character_s = bits / baudrate
    silent_s = 0.00175 if baudrate > 19200 else 3.5 * character_s
    near, far = os.openpty()
    tty.setraw(far)
    print(os.ttyname(far), flush=True)
    waiting = selectors.DefaultSelector()
    waiting.register(near, selectors.EVENT_READ)
    waiting.register(sys.stdin, selectors.EVENT_READ, "dead")
    dead: set[int] = set()
    heard, quiet_since = b"", 0.0
    begun = time.perf_counter()
    while True:
        for key, _ in waiting.select():
            if key.data == "dead":
                if not (line := sys.stdin.readline()):
                    return
                dead = {int(word) for word in line.split()}
                continue
            if not heard:
                began = time.perf_counter()
            heard += os.read(near, 512)
            if len(heard) < QUESTION_BYTES:
                continue
            question, heard = heard[:QUESTION_BYTES], b""
            unit, _, first, count = struct.unpack(">BBHH", question[:6])
            too_short_s = max(silent_s - (began - quiet_since), 0.0)
            print(f"{began - begun:.6f} {unit} {first} {too_short_s:.6f}", flush=True)
            ended = began + QUESTION_BYTES * character_s
            if unit in dead or unit > units:
                quiet_since = ended
                continue
            body = struct.pack(f">BBB{count}H", unit, 3, 2 * count, *range(first, first + count))
            answer = body + FramerRTU.compute_CRC(body).to_bytes(2, "big")
            quiet_since = ended + silent_s + len(answer) * character_s
            for place, byte in enumerate(answer, start=1):
                until(ended + silent_s + place * character_s)
                os.write(near, bytes((byte,)))


def until(moment: float) -> None:
    """Sleeps while there is time, then watches the clock: a byte must not come late."""
    while (left := moment - time.perf_counter()) > 0:
        if left > 0.002:
            time.sleep(left - 0.0015)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
