//! What a landscape is of: kept beside its grids, and drawn around its pictures.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smoothout_sharpness::{Axis, Picture};
use smoothout_tensor::Selection;

use crate::measure::{BatchNormPolicy, Subset};

/// Where the points lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Between two networks.
    Line,
    /// Along a random direction.
    RandomLine,
    /// Along two random directions.
    RandomPlane,
    /// Through three networks.
    Plane,
    /// In the plane of a trajectory's principal components.
    Trajectory,
}

impl Kind {
    /// The number of axes.
    pub(super) fn dimensions(self) -> usize {
        match self {
            Self::Line | Self::RandomLine => 1,
            Self::RandomPlane | Self::Plane | Self::Trajectory => 2,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Line => "line",
            Self::RandomLine => "random line",
            Self::RandomPlane => "random plane",
            Self::Plane => "plane",
            Self::Trajectory => "trajectory",
        })
    }
}

/// What a landscape is of: a folder goes on only with the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct About {
    pub(super) kind: Kind,
    pub(super) files: Vec<PathBuf>,
    /// Their contents.
    pub(super) md5: Vec<String>,
    pub(super) model: String,
    pub(super) data: Subset,
    /// Of the split that the examples are of.
    pub(super) data_md5: String,
    pub(super) batch_norm: BatchNormPolicy,
    pub(super) precision: String,
    pub(super) selection: Selection,
    pub(super) seed: u64,
    pub(super) axes: Vec<Axis>,
    /// Where the files lie, one pair of coordinates each (one number on a line).
    pub(super) places: Vec<Vec<f64>>,
    /// Shares of the variance of a trajectory's two components.
    pub(super) shares: Option<[f64; 2]>,
    pub(super) version: String,
}

impl About {
    /// Title, names of the axes, and where the files lie: A, B, C in their order, of a trajectory its
    /// first and its last.
    pub(super) fn picture(&self) -> Picture {
        let Self { model, kind, data, .. } = self;
        let title = format!(
            "{model}, {kind}, {} {} examples of {}",
            data.examples, data.split, data.dataset
        );
        let picture = Picture::new(&title);
        let length = "in filter norms";
        let picture = match (kind, self.shares) {
            (Kind::Line, _) => picture.axes(["alpha: weights (1 - alpha) A + alpha B"]),
            (Kind::RandomLine, _) => picture.axes([&format!("along a random direction, {length}")]),
            (Kind::RandomPlane, _) => {
                let name = |which| format!("along the {which} random direction, {length}");
                picture.axes([&name("first"), &name("second")])
            }
            (_, Some(shares)) => {
                let name = |k: usize| {
                    format!("component {}: {:.1} % of the variance", k + 1, 100.0 * shares[k])
                };
                picture.axes([&name(0), &name(1)]).path()
            }
            _ => picture.axes(["from A towards B", "from A towards C"]),
        };
        let last = self.places.len() - 1;
        let name = |k: usize| match (self.shares, k) {
            (None, _) => ["A", "B", "C"][k],
            (Some(_), 0) => "first",
            (Some(_), k) if k == last => "last",
            _ => "",
        };
        let places = self.places.iter().enumerate();
        places.fold(picture, |picture, (k, place)| picture.point(name(k), place))
    }
}
