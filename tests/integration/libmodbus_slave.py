"""A Modbus RTU slave that we did not write: Debian's libmodbus, driven by ctypes, on a pseudo-terminal.

Run as a program: `python libmodbus_slave.py UNIT`. It prints the port's path, answers until its standard input
closes, and takes lines such as "holding 0 250" (table, address, value) there. Tables have 24 places, all 0.
"""

import contextlib
import ctypes
import ctypes.util
import os
import subprocess
import sys
import threading
import tty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PLACES = 24
LONGEST_FRAME = 260


class Mapping(ctypes.Structure):
    """`modbus_mapping_t` of modbus.h 3.1.6."""

    _fields_ = [
        *((name, ctypes.c_int) for name in ("nb_bits", "start_bits", "nb_input_bits", "start_input_bits")),
        *((name, ctypes.c_int) for name in ("nb_input_registers", "start_input_registers")),
        *((name, ctypes.c_int) for name in ("nb_registers", "start_registers")),
        ("coil", ctypes.POINTER(ctypes.c_uint8)),
        ("discrete", ctypes.POINTER(ctypes.c_uint8)),
        ("input", ctypes.POINTER(ctypes.c_uint16)),
        ("holding", ctypes.POINTER(ctypes.c_uint16)),
    ]


def carry(source: int, sink: int) -> None:
    """Bytes of one pseudo-terminal to the other: libmodbus wants a port of its own."""
    with contextlib.suppress(OSError):
        while data := os.read(source, 512):
            os.write(sink, data)


def obey(table: Any) -> None:
    for line in sys.stdin:
        name, address, value = line.split()
        getattr(table.contents, name)[int(address)] = int(value)
        print("done", flush=True)
    os._exit(0)


def main(unit: int) -> None:
    library = ctypes.CDLL("libmodbus.so.5")
    library.modbus_new_rtu.restype = ctypes.c_void_p
    library.modbus_mapping_new.restype = ctypes.POINTER(Mapping)
    (ours, our_port), (theirs, their_port) = os.openpty(), os.openpty()
    for end in (our_port, their_port):
        tty.setraw(end)
    path = os.ttyname(their_port).encode()
    context = ctypes.c_void_p(library.modbus_new_rtu(path, 9600, ctypes.c_char(b"N"), 8, 1))
    table = library.modbus_mapping_new(PLACES, PLACES, PLACES, PLACES)
    assert library.modbus_set_slave(context, unit) == 0
    assert library.modbus_connect(context) == 0
    for task, arguments in ((carry, (ours, theirs)), (carry, (theirs, ours)), (obey, (table,))):
        threading.Thread(target=task, args=arguments, daemon=True).start()
    print(os.ttyname(our_port), flush=True)
    request = (ctypes.c_uint8 * LONGEST_FRAME)()
    while True:
        length = library.modbus_receive(context, request)
        if length > 0:
            library.modbus_reply(context, request, length, table)


class Libmodbus:
    """This file as a running program, answering as unit 11."""

    def __init__(self, log: Path) -> None:
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, __file__, "11"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.port = self._line()
        assert self.port, log.read_text()

    def set(self, table: str, address: int, value: int) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{table} {address} {value}\n")
        self._process.stdin.flush()
        assert self._line() == "done"

    def stop(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def foreign_slave(log: Path) -> Iterator[Libmodbus]:
    running = Libmodbus(log)
    try:
        yield running
    finally:
        running.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]))
