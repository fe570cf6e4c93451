"""A manifest of two rows, one data set and two protocols, to be changed one fault at a time."""

SMALL = """\
version: 1
documents:
  readme: {title: README, publisher: us, url: https://example.org/readme, revision: abc, date: "2021-10-13"}
datasets:
  tiny:
    title: Tiny
    split: val
    image_count: 3
    roots: [tiny]
    images: images
    image_suffix: .png
    labels: [{folder: labels, suffix: .png, value_map: {7: 0, 8: 1}}]
    classes: [a, b]
    palette: [[1, 2, 3], [4, 5, 6]]
protocols:
  whole: {base_scale: [8, 4], description: Once.}
  flipped: {base_scale: null, flip: true, window: {crop: [4, 4], stride: [2, 2]}}
checkpoints:
  - id: first
    aliases: [eins]
    publisher: us
    method: ISANet
    backbone: R-50-D8
    dataset: tiny
    crop: [4, 8]
    schedule: "100"
    architecture: {builder: isanet_mmseg, depth: 50, num_classes: 2}
    weights: {layout: mmseg, urls: [https://example.org/first-01234567.pth], sha256_prefix: "01234567"}
    claims:
      - {metric: miou, printed: "78.70", protocol: whole, source: {document: readme, section: Tiny, row: 1}}
      - {metric: miou_ms_flip, printed: "79.0", protocol: flipped}
      - {metric: train_memory, printed: "5.9", device: V100, batch: 2, crop: [4, 8]}
      - {metric: fps, printed: null, note: not published}
  - id: second
    publisher: us
    method: ISANet
    backbone: R-101-D8
    dataset: tiny
    crop: [4, 8]
    schedule: "100"
    architecture: {builder: isanet_mmseg, depth: 101, num_classes: 2}
    weights: {layout: ssseg, urls: [https://example.org/second.pth, https://mirror.example.org/second.pth]}
    claims:
      - {metric: miou, printed: "9", protocol: whole}
"""
