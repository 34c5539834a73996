//! The paper's networks.
//!
//! | name | images | network |
//! |---|---|---|
//! | `f1` | 28 x 28 x 1 | five hidden linear layers of 512 ([`f1`]) |
//! | `c1`, `c3` | 32 x 32 x 3 | two convolutions and three linear layers ([`shallow`]) |
//! | `c2`, `c4` | 32 x 32 x 3 | Keskar's VGG-like net ([`vgg`]) |
//! | `resnetN`, N = 6 n + 2: 8, 20, 32, 44, 56, 110, ... | 32 x 32 x 3 | [`CifarResnet`] |
//! | `wrn-16-4` | 32 x 32 x 3 | [`CifarResnet`] of depth 16, four times as wide |
//! | `resnet18`, `resnet34`, `resnet50`, `resnet101`, `resnet152` | 224 x 224 x 3 | [`ImagenetResnet`] |
//! | `alexnet` | 224 x 224 x 3 | [`alexnet`] |
//!
//! `resnet50` and `resnet152` are ImageNet's, although both depths are 6 n + 2; CIFAR's of that depth
//! are [`CifarResnet::new`]`(50, 10)` and the like. The pairs C1/C3 and C2/C4 differ in their number of classes
//! only, which is the caller's choice.

mod alexnet;
mod blocks;
mod cifar_resnet;
mod f1;
mod imagenet_resnet;
mod shallow;
mod vgg;

pub use alexnet::alexnet;
pub use blocks::{ResidualBlock, basic_block, bottleneck};
pub use cifar_resnet::{CifarResnet, cifar_resnet};
pub use f1::f1;
pub use imagenet_resnet::ImagenetResnet;
pub use shallow::{Shallow, shallow};
pub use vgg::vgg;

use crate::{Network, NnError};

/// The names that [`Network::by_name`] knows, beside every `resnetN` with N = 6 n + 2 up to 1202.
pub const NAMES: [&str; 18] = [
    "f1",
    "c1",
    "c2",
    "c3",
    "c4",
    "resnet8",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "wrn-16-4",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "alexnet",
];

/// The deepest CIFAR ResNet of He et al.: 1202 layers.
const DEEPEST: usize = 1202;

/// Three times ImageNet-21k's: with more, the sizes of the last layer would soon overflow.
const MOST_CLASSES: usize = 1 << 16;

pub(crate) fn by_name(name: &str, classes: usize) -> Result<Network, NnError> {
    if !(1..=MOST_CLASSES).contains(&classes) {
        return Err(NnError::Classes { found: classes, most: MOST_CLASSES });
    }
    let mut network = match name {
        "f1" => f1(512, classes),
        "c1" | "c3" => shallow(64, classes),
        "c2" | "c4" => vgg(64, classes),
        "wrn-16-4" => CifarResnet { width: 64, ..CifarResnet::new(16, classes) }.build(),
        "alexnet" => alexnet(64, classes),
        "resnet18" => ImagenetResnet::new(18, classes).build(),
        "resnet34" => ImagenetResnet::new(34, classes).build(),
        "resnet50" => ImagenetResnet::new(50, classes).build(),
        "resnet101" => ImagenetResnet::new(101, classes).build(),
        "resnet152" => ImagenetResnet::new(152, classes).build(),
        _ => match name.strip_prefix("resnet").and_then(|depth| depth.parse().ok()) {
            Some(depth) if (8..=DEEPEST).contains(&depth) && depth % 6 == 2 => {
                CifarResnet::new(depth, classes).build()
            }
            _ => {
                let (found, known) = (name.to_owned(), NAMES.join(", "));
                return Err(NnError::UnknownModel { found, known });
            }
        },
    }?;
    network.name = name.to_owned();
    Ok(network)
}
