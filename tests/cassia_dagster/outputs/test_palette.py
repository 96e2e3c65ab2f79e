from cassia_dagster.outputs import palette


def test_forty_names_have_forty_colours() -> None:
    colours = palette.assign(str(number) for number in range(40))
    assert len(set(colours.values())) == 40
    assert palette.NEUTRAL not in colours.values()


def test_a_name_keeps_its_colour_and_no_other_gets_it() -> None:
    colours = palette.assign(["B cell", "T cell"], taken={"T cell": palette.CATEGORICAL[0]})
    assert colours == {"B cell": palette.CATEGORICAL[1], "T cell": palette.CATEGORICAL[0]}


def test_beyond_forty_names_colours_repeat() -> None:
    colours = palette.assign(str(number) for number in range(95))
    assert len(colours) == 95
