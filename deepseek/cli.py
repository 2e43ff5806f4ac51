"""The command line: ``deepseek demo | report RUN | summary RUN | compare A B | doctor``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deepseek.errors import DeepseekError
from deepseek.text import printable
from deepseek.widgets.commands import CommandError, CommandParser


def main(words: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        words: The words of the command; by default those that the process was started with.

    Returns:
        The exit code: 0 when all is well, 1 when the command could not do its work, 2 when it was misspelt.
    """
    try:
        arguments = parser().parse(sys.argv[1:] if words is None else words)
        return 0 if arguments is None else arguments.command(arguments)
    except (DeepseekError, OSError) as error:
        print(f"deepseek: {printable(error).removeprefix('deepseek: ')}", file=sys.stderr)
        return 2 if isinstance(error, CommandError) else 1
    except KeyboardInterrupt:
        return 130


def parser() -> CommandParser:
    """Return the parser of the command line."""
    root = CommandParser(prog="deepseek", description="See what flows through a model while it trains.")
    commands = root.add_subparsers(required=True, metavar="COMMAND", dest="name")

    demo = commands.add_parser("demo", help="train a small network with a planted fault and report it")
    demo.add_argument("-o", "--output", type=Path, default=Path("demo-report.html"), help="the report to write")
    demo.set_defaults(command=_demo)

    report = commands.add_parser("report", help="write a saved run to one self-contained HTML file")
    report.add_argument("run", type=Path, metavar="RUN", help="a run file (.dsrun)")
    report.add_argument("-o", "--output", type=Path, required=True, metavar="HTML", help="the report to write")
    report.set_defaults(command=_report)

    summary = commands.add_parser("summary", help="print the newest values and the findings of a saved run")
    summary.add_argument("run", type=Path, metavar="RUN", help="a run file (.dsrun)")
    summary.set_defaults(command=_summary)

    compare = commands.add_parser("compare", help="say which layer of two saved runs differs first")
    compare.add_argument("a", type=Path, metavar="A", help="a run file (.dsrun)")
    compare.add_argument("b", type=Path, metavar="B", help="the run file to compare it with")
    compare.add_argument("-k", "--kind", default="activation", help="activation (default), gradient, parameter, ...")
    compare.add_argument("-o", "--output", type=Path, metavar="HTML", help="a report to write")
    compare.set_defaults(command=_compare)

    doctor = commands.add_parser("doctor", help="say what would not work here, and the command that helps")
    doctor.set_defaults(command=_doctor)
    return root


def _demo(arguments: argparse.Namespace) -> int:
    from deepseek import demo

    return demo.run(arguments.output)


def _report(arguments: argparse.Namespace) -> int:
    from deepseek.compose import open_run

    with open_run(arguments.run) as run:
        _say(f"Wrote {_line(run.report(arguments.output))}")
    return 0


def _summary(arguments: argparse.Namespace) -> int:
    from deepseek.compose import open_run

    with open_run(arguments.run) as run:
        _say(f"{_line(run.title)}: {run.status.state}, {run.status.step} steps")
        _say(run.summary().to_string(max_rows=200))
        for finding in run.findings:
            _say(f"\n{finding.severity}: {_line(finding.message)}")
            _say(f"  cause: {_line(finding.cause)}\n  fix: {_line(finding.fix)}")
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    from deepseek.compose import compare

    comparison = compare(arguments.a, arguments.b, kind=arguments.kind)
    _say(_line(comparison))
    _say(comparison.frame.to_string(max_rows=200))
    if arguments.output is not None:
        _say(f"Wrote {_line(comparison.report(arguments.output))}")
    return 0


def _doctor(_: argparse.Namespace) -> int:
    from deepseek import doctor

    checks = doctor.examine()
    _say(doctor.render(checks))
    return 0 if all(check.ok for check in checks) else 1


def _say(text: str) -> None:
    """Print without control codes, and without failing on letters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(printable(text).encode(encoding, "replace").decode(encoding))


def _line(text: object) -> str:
    """Foreign text on one line, so that it cannot pass for a line of ours."""
    return " ".join(str(text).split())
