//! Which blocks of the parameter vector take part: in a perturbation, or in a measurement.

use std::fmt;

use crate::{Block, BlockKind, ParameterLayout, TensorError};

/// A choice of parameter blocks, by kind and by name.
///
/// The default is everything. [`Selection::without_norm`] is the paper's (v3): batch norm's gamma
/// and beta are left alone.
///
/// ```
/// use smoothout_tensor::{BlockKind, ParameterLayout, Selection};
///
/// let mut layout = ParameterLayout::new();
/// layout.push("conv1.weight", &[2, 1, 3, 3], BlockKind::Weight)?;
/// layout.push("bn1.weight", &[2], BlockKind::NormScale)?;
/// let picked = |selection: &Selection| -> Vec<bool> {
///     layout.blocks().iter().map(|block| selection.contains(block)).collect()
/// };
/// assert_eq!(picked(&Selection::without_norm()), [true, false]);
/// assert_eq!(picked(&Selection::all().named("bn*")), [false, true]);
/// # Ok::<(), smoothout_tensor::TensorError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(deny_unknown_fields))]
pub struct Selection {
    kinds: Vec<BlockKind>,
    pattern: Option<String>,
}

impl Default for Selection {
    fn default() -> Self {
        Self::all()
    }
}

impl Selection {
    /// Every block.
    pub fn all() -> Self {
        Self::of_kinds(&[
            BlockKind::Weight,
            BlockKind::Bias,
            BlockKind::NormScale,
            BlockKind::NormShift,
        ])
    }

    /// Weights and biases, not batch norm's gamma and beta: the paper's default (v3).
    pub fn without_norm() -> Self {
        Self::of_kinds(&[BlockKind::Weight, BlockKind::Bias])
    }

    /// The weights of linear and convolutional layers only.
    pub fn weights() -> Self {
        Self::of_kinds(&[BlockKind::Weight])
    }

    /// The blocks of these kinds.
    pub fn of_kinds(kinds: &[BlockKind]) -> Self {
        Self { kinds: kinds.to_vec(), pattern: None }
    }

    /// Of these, only the blocks whose name matches `pattern`, where `*` stands for any run of
    /// characters: `"layer2.*"`, `"*.weight"`.
    #[must_use]
    pub fn named(mut self, pattern: &str) -> Self {
        self.pattern = Some(pattern.to_owned());
        self
    }

    /// True if the block takes part.
    pub fn contains(&self, block: &Block) -> bool {
        self.kinds.contains(&block.kind())
            && self.pattern.as_deref().is_none_or(|pattern| matches(pattern, block.name()))
    }

    /// The number of parameters picked.
    ///
    /// # Errors
    /// If no block is picked: a pattern with a slip in it should not pass for "nothing to do".
    pub fn count(&self, layout: &ParameterLayout) -> Result<usize, TensorError> {
        let picked = layout.blocks().iter().filter(|block| self.contains(block));
        match picked.map(Block::len).sum() {
            0 => Err(TensorError::NothingSelected {
                selection: self.to_string(),
                names: shortened_names(layout),
            }),
            count => Ok(count),
        }
    }
}

impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.kinds.iter().map(|kind| match kind {
            BlockKind::Weight => "weights",
            BlockKind::Bias => "biases",
            BlockKind::NormScale => "norm scales",
            BlockKind::NormShift => "norm shifts",
        });
        f.write_str(&names.collect::<Vec<_>>().join(", "))?;
        match &self.pattern {
            Some(pattern) => write!(f, " named {pattern:?}"),
            None => Ok(()),
        }
    }
}

fn shortened_names(layout: &ParameterLayout) -> String {
    let mut names: Vec<&str> = layout.blocks().iter().take(8).map(Block::name).collect();
    if layout.blocks().len() > names.len() {
        names.push("…");
    }
    names.join(", ")
}

/// `*` stands for any run of characters, everything else for itself.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|&i| tail.is_char_boundary(i))
                .any(|i| matches(rest, &tail[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("fc.weight", "fc.weight", true),
            ("fc", "fc.weight", false),
            ("fc*", "fc.weight", true),
            ("*.weight", "fc.weight", true),
            ("*.weight", "fc.weights", false),
            ("layer*.conv*.weight", "layer1.0.conv2.weight", true),
            ("layer*.conv*.weight", "layer1.0.bn2.weight", false),
            ("*", "", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} against {name}");
        }
    }

    #[test]
    fn an_empty_choice_is_an_error_that_names_the_blocks() {
        let layout = ParameterLayout::flat(4);
        assert_eq!(Selection::all().count(&layout), Ok(4));
        let error = Selection::all().named("conv*").count(&layout).unwrap_err();
        assert!(error.to_string().contains("\"conv*\""), "{error}");
        assert!(error.to_string().contains("the layout has w"), "{error}");
    }
}
