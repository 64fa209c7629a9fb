"""The pictures of the documents that are drawn from figures kept beside them."""

from studies.pictures import cifar10_front


def test_the_picture_of_the_front_is_that_of_its_table() -> None:
    picture = cifar10_front.TABLE.parents[1] / "pictures" / "cifar10-front.svg"
    drawn = cifar10_front.draw(cifar10_front.read_networks())
    assert drawn == picture.read_text(encoding="utf-8")
