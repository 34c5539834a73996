//! Who does the work of which node: what a graph looks like to an executor that fuses.
//!
//! A batch norm has no tensor of its own. Its input z is kept, and its output, with the ReLU or the
//! sum and ReLU that follow it, is either *lazy*, computed from z whenever a convolution or linear layer
//! reads it, or *combined*: written once, as the value that the last of these nodes writes.

use smoothout_tensor::kernels::fused::POOLED_WEIGHTS;

use crate::graph::{Node, Op};

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// It has a tensor of its own.
    Stored(usize),
    /// It is computed from the input of a norm, given by its node.
    Normed { norm: usize, relu: bool },
}

/// A value that a norm and the nodes after it make: `first + second`, then maybe a ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Join {
    /// The norm's node.
    pub(crate) norm: usize,
    pub(crate) second: Option<Read>,
    pub(crate) relu: bool,
}

/// What becomes of each node and value.
#[derive(Debug)]
pub(crate) struct Roles {
    /// Per node: a convolution or linear layer that can read and finish for its neighbours. The output of such a
    /// convolution has no bias; the norm behind it knows.
    pub(crate) is_weighted: Vec<bool>,
    /// Per node: the max pool that alone reads this convolution, whose output is not stored then.
    pub(crate) pool_of: Vec<Option<usize>>,
    /// Per node: the norm that alone reads this convolution, its pool or this linear layer.
    pub(crate) norm_of: Vec<Option<usize>>,
    /// Per node: its work is that of a norm's join.
    pub(crate) is_absorbed: Vec<bool>,
    /// Per value: what makes it, at the end of a norm and the nodes after it.
    pub(crate) joins: Vec<Option<Join>>,
    /// Per value: it is a join, but never written.
    pub(crate) is_lazy: Vec<bool>,
}

impl Roles {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        let mut readers = vec![Vec::new(); nodes.len() + 1];
        for (index, node) in nodes.iter().enumerate() {
            node.inputs().for_each(|value| readers[value].push(index));
        }
        let is_norm = |node: usize| matches!(nodes[node].op, Op::BatchNorm { .. });
        let is_weighted: Vec<bool> = nodes
            .iter()
            .enumerate()
            .map(|(index, node)| match &node.op {
                // A norm takes a bias away again, or adds it with the running mean.
                Op::Conv2d { bias, .. } => {
                    bias.is_empty() || matches!(readers[index + 1][..], [norm] if is_norm(norm))
                }
                // Its inputs are the channels of what it reads.
                Op::Linear { layer, .. } => match node.input {
                    0 => true,
                    value => nodes[value - 1].shape == [1, 1, layer.inputs],
                },
                _ => false,
            })
            .collect();
        let mut roles = Self {
            pool_of: vec![None; nodes.len()],
            norm_of: vec![None; nodes.len()],
            is_absorbed: vec![false; nodes.len()],
            joins: vec![None; nodes.len() + 1],
            is_lazy: vec![false; nodes.len() + 1],
            is_weighted,
        };
        for (index, node) in nodes.iter().enumerate() {
            let Op::Conv2d { weight, bias, .. } = &node.op else { continue };
            let fits = bias.is_empty() && weight.len() <= POOLED_WEIGHTS;
            if let ([reader], true) = (&readers[index + 1][..], fits)
                && matches!(nodes[*reader].op, Op::MaxPool { .. })
            {
                (roles.pool_of[index], roles.is_absorbed[*reader]) = (Some(*reader), true);
            }
        }
        let mut summed = vec![false; nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            let Op::Add { other } = node.op else { continue };
            let norm = |value: usize| {
                value.checked_sub(1).filter(|&n| is_norm(n) && readers[value] == [index])
            };
            let (first, other) = match (norm(node.input), norm(other)) {
                (Some(first), _) => (first, other),
                (None, Some(first)) => (first, node.input),
                (None, None) => continue,
            };
            let second = match norm(other) {
                Some(norm) => Some(Read::Normed { norm, relu: false }),
                // The sum's gradient serves as the first part of the other's, and is not changed
                // while it does: a convolution adds to it and writes elsewhere.
                None => {
                    let (convs, last) = match readers[other].split_last() {
                        Some((last, convs)) => (convs, *last),
                        None => continue,
                    };
                    let fits = last == index
                        && !convs.is_empty()
                        && convs.iter().all(|&reader| roles.is_weighted[reader]);
                    (other == 0 || fits).then_some(Read::Stored(other))
                }
            };
            if second.is_none() {
                continue;
            }
            summed[first] = true;
            if let Some(Read::Normed { norm, .. }) = second {
                summed[norm] = true;
            }
            roles.is_absorbed[index] = true;
            roles.join(nodes, &readers, index + 1, Join { norm: first, second, relu: false });
        }
        for index in (0..nodes.len()).filter(|&index| is_norm(index)) {
            roles.is_absorbed[index] = true;
            let input = nodes[index].input;
            if let (Some(writer), true) = (roles.writer(nodes, input), readers[input] == [index]) {
                roles.norm_of[writer] = Some(index);
            }
            if !summed[index] {
                let join = Join { norm: index, second: None, relu: false };
                roles.join(nodes, &readers, index + 1, join);
            }
        }
        roles
    }

    /// Ends a join at `value`, or at the ReLU that alone reads it.
    fn join(&mut self, nodes: &[Node], readers: &[Vec<usize>], value: usize, mut join: Join) {
        let mut end = value;
        if let [reader] = readers[value][..]
            && nodes[reader].op == Op::Relu
        {
            (end, join.relu) = (reader + 1, true);
            self.is_absorbed[reader] = true;
        }
        self.is_lazy[end] = join.second.is_none()
            && matches!(readers[end][..], [reader] if self.is_weighted[reader]);
        self.joins[end] = Some(join);
    }

    /// The convolution or linear layer that writes a value, maybe through a pool.
    pub(crate) fn writer(&self, nodes: &[Node], value: usize) -> Option<usize> {
        let node = value.checked_sub(1)?;
        let of_pool = || nodes[node].input.checked_sub(1);
        match of_pool().filter(|&conv| self.pool_of[conv] == Some(node)) {
            Some(conv) => Some(conv),
            None => (self.is_weighted[node] && self.pool_of[node].is_none()).then_some(node),
        }
    }

    /// How a value is read.
    pub(crate) fn read(&self, value: usize) -> Read {
        match self.joins[value] {
            Some(Join { norm, relu, .. }) if self.is_lazy[value] => Read::Normed { norm, relu },
            _ => Read::Stored(value),
        }
    }
}
