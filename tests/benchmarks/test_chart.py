from xml.etree import ElementTree

from benchmarks.chart import draw

SVG = "{http://www.w3.org/2000/svg}"


def results(**series):
    """Of each route its p50 at 10,000, 100,000 and 1,000,000 referrals."""
    return {
        "runs": [
            {
                "referrals": size,
                "rows": [
                    {"route": name, "p50_ms": points[n], "flat": True}
                    for name, points in series.items()
                ]
                + [{"route": "login", "p50_ms": 200.0}],
            }
            for n, size in enumerate((10_000, 100_000, 1_000_000))
        ]
    }


def drawn(results):
    root = ElementTree.fromstring(draw(results))  # noqa: S314 (our own)
    lines = [
        [tuple(map(float, point.split(","))) for point in line.get("points").split()]
        for line in root.iter(f"{SVG}polyline")
        if line.get("stroke-width") == "2"
    ]
    return lines, [text.text for text in root.iter(f"{SVG}text")]


def test_each_route_that_is_to_be_flat_has_a_line_and_its_name():
    lines, texts = drawn(results(branch=[2.0, 2.0, 2.0], search=[1.0, 10.0, 100.0]))
    assert len(lines) == 2
    assert "2.0  branch" in texts
    assert "100.0  search" in texts
    assert not [text for text in texts if "login" in text]


def test_both_scales_are_logarithmic():
    (slow, flat), _ = drawn(results(branch=[2.0, 2.0, 2.0], search=[1.0, 10.0, 100.0]))
    assert len({y for _, y in flat}) == 1
    (x1, y1), (x2, y2), (x3, y3) = slow
    assert abs((x2 - x1) - (x3 - x2)) < 0.2
    assert abs((y2 - y1) - (y3 - y2)) < 0.2
    # SVG counts from the top.
    assert y1 > y2 > y3


def test_sizes_and_powers_of_ten_stand_beside_the_axes():
    _, texts = drawn(results(search=[1.0, 10.0, 100.0]))
    assert {"10,000", "100,000", "1,000,000", "1", "10", "100"} <= set(texts)


def test_latencies_that_are_all_alike_can_be_drawn():
    lines, _ = drawn(results(branch=[10.0, 10.0, 10.0]))
    assert len(lines) == 1


def test_names_are_text_and_not_markup():
    _, texts = drawn(results(**{"<branch> & co": [1.0, 2.0, 3.0]}))
    assert "3.0  <branch> & co" in texts
