"""`python -m stemline_local`: a child process with its options, as JSON, on its first line of input."""

from __future__ import annotations

import sys

from stemline.errors import StemlineError
from stemline.logs import set_up_logging
from stemline_local.options import ServiceOptions
from stemline_local.server import serve


def main() -> int:
    """Serve until told to stop; give the exit code."""
    set_up_logging(str, is_telling=True)
    try:
        serve(ServiceOptions.from_json(sys.stdin.readline()))
    except StemlineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
