"""Damages real coverage data of Go in random ways and reads them: nothing but a DamagedError may come of any bytes.

    python tests/fuzz_go_data.py --seconds 3600        # as long as one likes; prints the seed of what it finds
    python tests/fuzz_go_data.py --seed 17 --rounds 1  # that again

What still can be read has to be written and read again without a difference.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from podcov.errors import DamagedError, MergeError
from podcov.formats import go_counters, go_meta, go_mod, go_profile
from podcov.formats.go_builds import gather
from podcov.formats.go_coverage import combine
from podcov.formats.go_fit import misfit
from podcov.formats.go_source import declarations

GOLD = Path(__file__).parent / "unit" / "gold" / "go"
SOURCE = (
    b'package p\n\nimport "fmt"\n\n// f does.\nfunc (t *T[K]) f(n int) (r struct{ a int }) {\n\tif n > 1 {\n\t\treturn\n\t}\n}\n'
)
MODULE = b'module "example.com/shop" // why\n\nreplace (\n\ta v1.2.3 => ./a\n)\n'
EDGES = (
    b"\x00",
    b"\x01",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80",
    b"\n",
    b":",
    b"{",
)

Damage = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]


def overwrite(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    edge = chance.choice(EDGES)
    return data[:at] + edge + data[at + len(edge) :]


def insert(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + chance.choice(EDGES) + data[at:]


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def leave_out(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.randint(1, 64) :]


def repeat(data: bytes, chance: random.Random) -> bytes:
    first, end = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
    return data[:end] + data[first:]


DAMAGES: Sequence[Damage] = (flip, overwrite, insert, cut, leave_out, repeat)


def damaged(data: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = chance.choice(DAMAGES)(data, chance) if data else data
    return data


# What is done with damaged data


def read_folder(files: Mapping[str, bytes], chance: random.Random) -> None:
    """One file of a folder is damaged; the others are read as ever."""
    name = chance.choice(sorted(files))
    gathered = gather({**files, name: damaged(files[name], chance)})
    go_profile.dump(combine(gathered.builds, "set").profile)


def read_meta(files: Mapping[str, bytes], chance: random.Random) -> None:
    go_meta.parse(damaged(next(data for name, data in files.items() if name.startswith("covmeta")), chance))


def read_counters(files: Mapping[str, bytes], chance: random.Random) -> None:
    name = chance.choice([name for name in sorted(files) if name.startswith("covcounters")])
    read = go_counters.parse(damaged(files[name], chance))
    again = go_counters.parse(go_counters.dump(read))
    assert [list(segment.functions) for segment in again.segments] == [list(segment.functions) for segment in read.segments]


def read_profile(files: Mapping[str, bytes], chance: random.Random) -> None:
    read = go_profile.parse(damaged(files["profile.txt"], chance))
    if all(count <= go_profile.LARGEST for count in read.counts.values()):
        assert go_profile.parse(go_profile.dump(read)) == read


def read_texts(files: Mapping[str, bytes], chance: random.Random) -> None:
    declarations(damaged(SOURCE, chance))
    go_mod.parse(damaged(MODULE, chance))
    meta = go_meta.parse(next(data for name, data in files.items() if name.startswith("covmeta")))
    misfit(damaged(SOURCE, chance), meta.packages[0].functions)


READERS = (read_folder, read_meta, read_counters, read_profile, read_texts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--rounds", type=int, default=sys.maxsize, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0, help="of the first round; each round has the next one")
    options = parser.parse_args()
    folders = [{file.name: file.read_bytes() for file in sorted(folder.iterdir())} for folder in sorted(GOLD.iterdir())]
    end = time.monotonic() + options.seconds
    done = refused = 0
    while done < options.rounds and time.monotonic() < end:
        seed = options.seed + done
        chance = random.Random(seed)
        try:
            chance.choice(READERS)(chance.choice(folders), chance)
        except (DamagedError, MergeError):
            refused += 1
        except BaseException:
            print(f"again with: --seed {seed} --rounds 1", file=sys.stderr)
            raise
        done += 1
    print(f"{done} rounds, {refused} refused")


if __name__ == "__main__":
    main()
