#!/usr/bin/env python3
"""Runs what cargo built for a microcontroller in QEMU: a test binary of embedded-test 0.7, one boot a test, or a plain image. With PROBE_RS_CHIP
in the environment, probe-rs runs it on a board instead.

usage: qemu_runner.py ELF [FILTER..] [--exact] [--list] [--ignored | --include-ignored]

The machine follows from the target's name in the path. In the environment:
  QEMU_MACHINE  another machine, as QEMU's arguments
  QEMU_EXTRA    further arguments
  QEMU_TIMEOUT  seconds for a test that says nothing else (900)
"""

import concurrent.futures
import json
import os
import pathlib
import shlex
import shutil
import struct
import subprocess
import sys

MACHINES = {
    # A Cortex-M0; with more memory than the part has, so that one image holds all cases: memory/thumbv6m-none-eabi.x.
    "thumbv6m-none-eabi": "qemu-system-arm -machine microbit"
    " -global nrf51-soc.flash-size=0x200000 -global nrf51-soc.sram-size=0x42000",
    "thumbv7em-none-eabihf": "qemu-system-arm -machine mps2-an386",
    "thumbv8m.main-none-eabihf": "qemu-system-arm -machine mps2-an505",
    "riscv32imac-unknown-none-elf": "qemu-system-riscv32 -machine virt -bios none",
}
PANICKED = 134  # semihosting's abort()


class Elf:
    """As much of a little-endian ELF32 file as tells its tests."""

    def __init__(self, path):
        self.data = pathlib.Path(path).read_bytes()
        if self.data[:6] != b"\x7fELF\x01\x01":
            sys.exit(f"{path}: expected a 32-bit little-endian ELF file")
        (start,) = struct.unpack_from("<I", self.data, 32)
        size, count, names = struct.unpack_from("<HHH", self.data, 46)
        self.sections = [struct.unpack_from("<10I", self.data, start + i * size) for i in range(count)]
        self.names = [self.string(self.sections[names][4] + section[0]) for section in self.sections]

    def string(self, offset):
        return self.data[offset : self.data.index(b"\0", offset)].decode()

    def loaded(self, address, size):
        """Bytes at an address of the image."""
        for name, section in zip(self.names, self.sections):
            _, kind, flags, start, offset, length = section[:6]
            if kind == 1 and flags & 2 and start and name != ".embedded_test" and start <= address <= start + length - size:
                return self.data[offset + address - start :][:size]
        sys.exit(f"no section holds the address {address:#x}")

    def tests(self):
        """(name, address, attributes) of each test; None where it is no test binary."""
        if ".embedded_test" not in self.names:
            return None
        index = self.names.index(".embedded_test")
        base, offset = self.sections[index][3:5]
        found = []
        for section in self.sections:
            if section[1] != 2:  # a symbol table
                continue
            strings = self.sections[section[6]][4]
            for at in range(section[4], section[4] + section[5], 16):
                name, value, _, _, _, where = struct.unpack_from("<IIIBBH", self.data, at)
                text = self.string(strings + name)
                if where != index or not text.startswith("{"):
                    continue
                test = json.loads(text)
                address, module, length = struct.unpack_from("<III", self.data, offset + value - base)
                module = self.loaded(module, length).decode().split("::", 1)[-1]
                found.append((f"{module}::{test['name']}", address, test))
        return sorted(found, key=lambda test: test[0])


def machine(path):
    """QEMU and its arguments for an image."""
    command = os.environ.get("QEMU_MACHINE")
    if command is None:
        triple = next((part for part in pathlib.Path(path).parts if part in MACHINES), None)
        if triple is None:
            sys.exit(f"{path}: the path names none of {', '.join(MACHINES)}; set QEMU_MACHINE")
        command = MACHINES[triple]
    command = shlex.split(command)
    if shutil.which(command[0]) is None:
        sys.exit(f"{command[0]} is missing; on Debian: apt-get install --no-install-recommends qemu-system-arm qemu-system-misc")
    return command + ["-nographic", *shlex.split(os.environ.get("QEMU_EXTRA", ""))]


def boot(qemu, elf, test):
    """Runs one test: how QEMU ended, and what was printed."""
    name, address, attributes = test
    semihosting = f"enable=on,target=native,arg=run_addr,arg={address}"
    seconds = attributes.get("timeout") or int(os.environ.get("QEMU_TIMEOUT", "900"))
    command = [*qemu, "-semihosting-config", semihosting, "-kernel", elf]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False
        )
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        return f"none in {seconds} s", (error.stdout or b"").decode(errors="replace")


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    elf, arguments = sys.argv[1], sys.argv[2:]
    if os.environ.get("PROBE_RS_CHIP"):
        if shutil.which("probe-rs") is None:
            sys.exit("PROBE_RS_CHIP is set, and probe-rs is missing: https://probe.rs/docs/getting-started/installation")
        os.execvp("probe-rs", ["probe-rs", "run", elf, *arguments])
    qemu = machine(elf)
    tests = Elf(elf).tests()
    if tests is None:
        semihosting = ["-semihosting-config", "enable=on,target=native"]
        sys.exit(subprocess.call([*qemu, *semihosting, "-kernel", elf], stdin=subprocess.DEVNULL))

    filters = [argument for argument in arguments if not argument.startswith("-")]
    exact = "--exact" in arguments
    if filters:
        tests = [test for test in tests if any(f == test[0] if exact else f in test[0] for f in filters)]
    if "--list" in arguments:
        for name, _, _ in tests:
            print(f"{name}: test")
        return
    every, only = "--include-ignored" in arguments, "--ignored" in arguments
    ignored = [test for test in tests if not every and test[2]["ignored"] != only]
    wanted = [test for test in tests if test not in ignored]

    print(f"\nrunning {len(wanted)} tests")
    failed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for test, (code, output) in zip(wanted, pool.map(lambda test: boot(qemu, elf, test), wanted)):
            passed = code == (PANICKED if test[2]["should_panic"] else 0)
            print(f"test {test[0]} ... {'ok' if passed else 'FAILED'}", flush=True)
            if passed:
                print("".join(line + "\n" for line in output.splitlines() if line.startswith("note: ")), end="", flush=True)
            if not passed:
                failed.append((test[0], code, output))
    for name, code, output in failed:
        print(f"\n---- {name} ---- (QEMU's exit code: {code})\n{output}")
    result = "FAILED" if failed else "ok"
    print(f"\ntest result: {result}. {len(wanted) - len(failed)} passed; {len(failed)} failed; {len(ignored)} ignored")
    sys.exit(101 if failed else 0)


main()
