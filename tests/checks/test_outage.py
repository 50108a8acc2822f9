from tests.checks import outage


def test_whoever_asks_while_the_database_is_away_is_told_so_and_served_again_after(capsys):
    outage.main(["--seconds=1", "--out-of-reach=1.5", "--frozen=0.5", "--within=60"])

    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("stopped for 1 s: ") for line in lines)
    assert any(line.startswith("out of reach for 1.5 s: ") for line in lines)
    assert [line for line in lines if line.startswith("after: ")] != []
