"""What the Python clients' checks share: facts (what the stages' user read, addresses and passwords), steps, a verdict."""
import sys
import time
import traceback

facts = dict(line.rstrip("\n").split("=", 1) for line in open(sys.argv[1], encoding="utf-8"))
counts = {"passed": 0, "failed": 0}


def check(name):
    """Runs the decorated function as one step."""
    def run(step):
        try:
            step()
        except Exception as error:
            counts["failed"] += 1
            where = traceback.extract_tb(error.__traceback__)[1].lineno
            print(f"FAIL {name}: line {where}: {type(error).__name__}: {str(error)[:600]!r}")
        else:
            counts["passed"] += 1
            print("ok", name)
    return run


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def refused(step, *codes):
    """The step must fail, and say one of these."""
    try:
        step()
    except Exception as error:
        assert any(code in str(error) for code in codes), f"it says {str(error)[:300]!r}"
    else:
        raise AssertionError("it ran")


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.05)


def verdict():
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] > 0)
