"""Large catalogues: how long planning, resuming, collecting and dispatching take, and what they need.

    python benchmarks/bench_scale.py plan --rows 1000000
    python benchmarks/bench_scale.py resume --rows 1000000 [--postgresql]
    python benchmarks/bench_scale.py collecting --tracks 400
    python benchmarks/bench_scale.py runners --tracks 400
    python benchmarks/bench_scale.py transfer --tracks 60
    python benchmarks/bench_scale.py keys --keys 10 --minutes 60
    python benchmarks/bench_scale.py booking --keys 10 --workers 100 [--postgresql]

Ratios are of one run, side by side. A figure that misses its target says so.
"""

from __future__ import annotations

import argparse

from scale import booking, collecting, keys, plan, resume, runners, transfer

SUBJECTS = {
    "plan": plan,
    "resume": resume,
    "collecting": collecting,
    "runners": runners,
    "transfer": transfer,
    "keys": keys,
    "booking": booking,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subjects = parser.add_subparsers(required=True)
    for name, subject in SUBJECTS.items():
        options = subjects.add_parser(name, help=(subject.__doc__ or "").splitlines()[0])
        subject.add_options(options)
        options.set_defaults(measure=subject.measure)
    arguments = parser.parse_args()
    arguments.measure(arguments)


if __name__ == "__main__":
    main()
