"""What holds for all tests: chance is the same in every run, unless new chances are asked for."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None)
settings.register_profile("explore", max_examples=5000)
settings.load_profile("repeatable")


def pytest_addoption(parser):
    parser.addoption(
        "--malformed-rounds",
        type=int,
        default=1,
        metavar="N",
        help="run the tests of malformed inputs with N seeds; with other inputs in each",
    )


def pytest_generate_tests(metafunc):
    if "malformed_round" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("malformed_rounds")
        metafunc.parametrize("malformed_round", range(rounds))
