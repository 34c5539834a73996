//! Which buffer holds which value: decided once for a network, reused at every step.
//!
//! Lengths are per image; a workspace multiplies them by its batch. In training each value that a
//! backward pass reads keeps a buffer of its own, and elementwise layers write over their input
//! where nothing else reads it. In inference, and for gradients, a buffer is free again as soon as
//! its last reader is done.

use crate::graph::{Node, Shape, elements};

/// The buffer of value 0, the images: the caller's own.
pub(crate) const IMAGES: usize = usize::MAX;

/// Buffers, and the assignment of values to them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Slots {
    /// Slot of each value, [`IMAGES`] for value 0.
    pub(crate) of_value: Vec<usize>,
    /// Length of each slot, per image.
    pub(crate) lengths: Vec<usize>,
}

/// Where the gradient of a node's input goes: it is written to `slot`, and added to `into` if that
/// value already has a gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Target {
    pub(crate) slot: usize,
    pub(crate) into: Option<usize>,
}

/// The backward pass of one node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BackwardStep {
    pub(crate) node: usize,
    /// Slot of the output's gradient.
    pub(crate) output: usize,
    /// The first input, unless it is the images. For elementwise nodes its slot is `output`.
    pub(crate) input: Option<Target>,
    /// The second input of a sum, whose gradient is a copy of the output's.
    pub(crate) other: Option<Target>,
}

/// All assignments of one network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) training: Slots,
    pub(crate) inference: Slots,
    pub(crate) gradients: Vec<usize>,
    pub(crate) backward: Vec<BackwardStep>,
}

/// Buffers that are handed out and taken back while planning.
#[derive(Default)]
pub(crate) struct Pool {
    pub(crate) lengths: Vec<usize>,
    free: Vec<usize>,
}

impl Pool {
    /// The smallest free buffer that is long enough, else the longest free one, grown, else a new
    /// one.
    pub(crate) fn take(&mut self, length: usize) -> usize {
        let fits = |&(_, slot): &(usize, &usize)| self.lengths[*slot] >= length;
        let smallest = self.free.iter().enumerate().filter(fits).min_by_key(|f| self.lengths[*f.1]);
        let longest = || self.free.iter().enumerate().max_by_key(|f| self.lengths[*f.1]);
        let Some((at, &slot)) = smallest.or_else(longest) else {
            self.lengths.push(length);
            return self.lengths.len() - 1;
        };
        self.free.swap_remove(at);
        self.lengths[slot] = self.lengths[slot].max(length);
        slot
    }

    pub(crate) fn is_free(&self, slot: usize) -> bool {
        self.free.contains(&slot)
    }

    pub(crate) fn give(&mut self, slot: usize) {
        self.free.push(slot);
    }
}

impl Plan {
    /// Plans a graph whose last node writes the logits.
    pub(crate) fn new(input: Shape, nodes: &[Node]) -> Self {
        let values = nodes.len() + 1;
        let mut readers = vec![0; values];
        nodes.iter().flat_map(Node::inputs).for_each(|value| readers[value] += 1);
        let (gradients, backward) = plan_backward(input, nodes);
        Self {
            training: plan_training(nodes, &readers),
            inference: plan_inference(nodes, readers),
            gradients,
            backward,
        }
    }
}

fn plan_training(nodes: &[Node], readers: &[usize]) -> Slots {
    let mut slots = Slots { of_value: vec![IMAGES], lengths: Vec::new() };
    for node in nodes {
        let alone = node.input != 0
            && readers[node.input] == 1
            && node.op.may_overwrite(&nodes[node.input - 1].op);
        let slot = if alone {
            slots.of_value[node.input]
        } else {
            slots.lengths.push(elements(node.shape));
            slots.lengths.len() - 1
        };
        slots.of_value.push(slot);
    }
    slots
}

fn plan_inference(nodes: &[Node], mut readers: Vec<usize>) -> Slots {
    let mut pool = Pool::default();
    let mut of_value = vec![IMAGES];
    for node in nodes {
        let in_place = node.op.is_in_place() && node.input != 0 && readers[node.input] == 1;
        let slot = if in_place { of_value[node.input] } else { pool.take(elements(node.shape)) };
        for value in node.inputs() {
            readers[value] -= 1;
            if value != 0 && readers[value] == 0 && of_value[value] != slot {
                pool.give(of_value[value]);
            }
        }
        of_value.push(slot);
    }
    Slots { of_value, lengths: pool.lengths }
}

fn plan_backward(input: Shape, nodes: &[Node]) -> (Vec<usize>, Vec<BackwardStep>) {
    let length = |value: usize| elements(if value == 0 { input } else { nodes[value - 1].shape });
    let mut pool = Pool::default();
    let mut gradient_of = vec![None; nodes.len() + 1];
    gradient_of[nodes.len()] = Some(pool.take(length(nodes.len())));
    let mut steps = Vec::new();
    for (index, node) in nodes.iter().enumerate().rev() {
        let output = gradient_of[index + 1].expect("each value is used by a later node");
        let in_place = node.op.has_in_place_gradient();
        // A copy of the sum's gradient is made before its own buffer is passed on.
        let other = node.inputs().nth(1).filter(|&value| value != 0).map(|value| {
            if gradient_of[value].is_some() {
                return Target { slot: output, into: gradient_of[value] };
            }
            let slot = pool.take(length(value));
            gradient_of[value] = Some(slot);
            Target { slot, into: None }
        });
        let mut taken = false;
        let input = (node.input != 0).then(|| {
            let slot = if in_place { output } else { pool.take(length(node.input)) };
            let into = gradient_of[node.input];
            if into.is_some() {
                if slot != output {
                    pool.give(slot);
                }
            } else {
                gradient_of[node.input] = Some(slot);
                taken = slot == output;
            }
            Target { slot, into }
        });
        if !taken {
            pool.give(output);
        }
        steps.push(BackwardStep { node: index, output, input, other });
    }
    (pool.lengths, steps)
}
