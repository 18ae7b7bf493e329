def test_nothing_is_left(engines):
    engines.stop()
    for name, enclosure in engines.enclosures.items():
        left = enclosure.left_behind()
        assert not left, f"{name}: left behind: {left}"
