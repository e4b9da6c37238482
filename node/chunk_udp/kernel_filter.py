"""A filter that the system runs on each datagram before it reaches the socket's buffer (Linux only).

A flood costs most where it is received: each datagram is a system call, and room in a buffer that honest
requests need. Linux drops what a small program of ours finds worthless, in classic BPF (McCanne and Jacobson,
1993; socket(7), SO_ATTACH_FILTER). What it lets through is looked at as if there were no filter.

    length 128 and type ASK, or length 72 and type REQUEST, magic and version ours?   no: drop
    the token's mark is that of a recent epoch?                                       yes: keep
    nobody has proved this address: keep a stated share of these, at random
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence

from node.chunk_udp import wire
from node.chunk_udp.sockets import LINUX

SO_ATTACH_FILTER = 26  # asm-generic/socket.h; not in the socket module
_UDP_HEADER = 8  # bytes; the program sees the datagram from there on
_INSTRUCTION = struct.Struct("@HBBI")  # linux/filter.h: struct sock_filter
_PROGRAM = struct.Struct("@HP")  # struct sock_fprog
_LENGTH, _BYTE, _HALF, _WORD, _EQUAL, _AT_LEAST, _RETURN = 0x80, 0x30, 0x28, 0x20, 0x15, 0x35, 0x06
_RANDOM = 0xFFFFF000 + 56  # SKF_AD_OFF + SKF_AD_RANDOM: loads 32 random bits
_KEEP, _DROP = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]  # code, steps ahead if true, if false, operand


def program(marks: Sequence[bytes], share: float) -> list[Instruction]:
    """Instructions that keep what shows one of ``marks``, and ``share`` (0 to 1) of what strangers send."""
    body = _UDP_HEADER
    looks: list[Instruction] = [
        (_HALF, 0, 0, body),
        (_EQUAL, 0, -1, wire.MAGIC << 8 | wire.VERSION),
        (_WORD, 0, 0, body + wire.TOKEN_AT),
        *((_EQUAL, -2, 0, int.from_bytes(mark, "big")) for mark in marks),
        (_WORD, 0, 0, _RANDOM),
        (_AT_LEAST, -1, -2, min(2**32 - 1, int(share * 2**32))),
    ]
    kinds: list[Instruction] = [
        (_LENGTH, 0, 0, 0),
        (_EQUAL, 2, 0, body + wire.ASK_SIZE),
        (_EQUAL, 3, -1, body + wire.REQUEST_SIZE),
        (_RETURN, 0, 0, _DROP),
        (_BYTE, 0, 0, body + 2),
        (_EQUAL, 2, -1, wire.Kind.ASK),
        (_BYTE, 0, 0, body + 2),
        (_EQUAL, 0, -1, wire.Kind.REQUEST),
    ]
    code = [*kinds, *looks]
    drop, keep = len(code), len(code) + 1

    def steps(at: int, jump: int) -> int:
        """-1 is: drop. -2 is: keep."""
        return jump if jump >= 0 else (drop if jump == -1 else keep) - at - 1

    resolved = [(op, steps(at, yes), steps(at, no), value) for at, (op, yes, no, value) in enumerate(code)]
    return [*resolved, (_RETURN, 0, 0, _DROP), (_RETURN, 0, 0, _KEEP)]


def attach(sock: socket.socket, marks: Sequence[bytes], share: float) -> bool:
    """Have the system filter what ``sock`` receives from now on; False: it does not."""
    if not LINUX:
        return False
    instructions = program(marks, share)
    code = ctypes.create_string_buffer(b"".join(_INSTRUCTION.pack(*one) for one in instructions))
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, _PROGRAM.pack(len(instructions), ctypes.addressof(code))
        )
    except OSError:
        return False
    return True
