//! The steps of the fused executor, and which buffer holds which value: decided once for a network.

use super::roles::{Join, Read, Roles};
use crate::graph::{Node, Op, Shape, elements};
use crate::plan::{BackwardStep, IMAGES, Pool, Slots, Target};

/// The slot of a value that is never written.
const NOWHERE: usize = usize::MAX - 1;

/// A step of the forward pass. Nodes are given by index.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Forward {
    /// A node that works on its own.
    Plain { node: usize },
    /// A convolution or linear layer, the pool behind it, and the moments of what is written if a norm
    /// reads it.
    Weighted { node: usize, input: Read, pool: Option<usize>, norm: Option<usize> },
    /// The moments of a norm whose input comes from elsewhere.
    Moments { norm: usize },
    /// Writes a value.
    Combine { value: usize, join: Join },
}

impl Forward {
    /// Whether this step, which comes after a value is combined, is a convolution that reads it: then it
    /// writes it as well.
    pub(crate) fn writes_input(&self, combined: usize, nodes: &[Node]) -> bool {
        let Self::Weighted { node, input, .. } = *self else { return false };
        matches!(nodes[node].op, Op::Conv2d { .. }) && input == Read::Stored(combined)
    }
}

/// What is done with the gradient of a value when its last part has been computed: other parts are
/// added, the ReLU is applied, the sums that norms need are taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Finishing {
    pub(crate) add: Option<usize>,
    pub(crate) gate: Option<Read>,
    pub(crate) norms: [Option<usize>; 2],
}

/// A step of the backward pass. Slots are those of gradients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Backward {
    /// A node that works on its own.
    Plain(BackwardStep),
    /// A convolution or linear layer. The gradient of what it writes is in `gradient`, or, with a norm, computed
    /// from that of the norm's output in `gradient`, maybe into `room`. That of its input goes to the slot in
    /// `target`.
    Weighted {
        node: usize,
        input: Read,
        pool: Option<usize>,
        norm: Option<usize>,
        gradient: usize,
        room: Option<usize>,
        target: Option<(usize, Finishing)>,
    },
    /// From the gradient of a norm's output to that of its input, plus `add`.
    Norm { norm: usize, gradient: usize, add: Option<usize>, to: usize },
    /// Finishes the gradient of a value where it lies.
    Finish { value: usize, slot: usize, finishing: Finishing },
}

/// All steps and assignments of one network.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FusedPlan {
    pub(crate) forward: Vec<Forward>,
    pub(crate) training: Slots,
    pub(crate) inference: Slots,
    pub(crate) gradients: Vec<usize>,
    pub(crate) backward: Vec<Backward>,
}

impl FusedPlan {
    /// Plans a graph whose last node writes the logits.
    pub(crate) fn new(input: Shape, nodes: &[Node]) -> Self {
        let roles = Roles::new(nodes);
        let forward = plan_forward(nodes, &roles);
        let mut planner = Planner::new(input, nodes);
        forward.iter().rev().for_each(|step| planner.step(step));
        let (gradients, backward) = (planner.pool.lengths, planner.steps);
        Self {
            training: plan_slots(nodes, &forward, true),
            inference: plan_slots(nodes, &forward, false),
            forward,
            gradients,
            backward,
        }
    }
}

fn plan_forward(nodes: &[Node], roles: &Roles) -> Vec<Forward> {
    let mut steps = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if roles.is_weighted[index] {
            let (pool, norm) = (roles.pool_of[index], roles.norm_of[index]);
            let input = roles.read(node.input);
            steps.push(Forward::Weighted { node: index, input, pool, norm });
        } else if !roles.is_absorbed[index] {
            steps.push(Forward::Plain { node: index });
        }
        let writer = roles.writer(nodes, node.input);
        let is_served = writer.is_some_and(|writer| roles.norm_of[writer] == Some(index));
        if matches!(node.op, Op::BatchNorm { .. }) && !is_served {
            steps.push(Forward::Moments { norm: index });
        }
        if let Some(join) = roles.joins[index + 1].filter(|_| !roles.is_lazy[index + 1]) {
            steps.push(Forward::Combine { value: index + 1, join });
        }
    }
    steps
}

/// The stored value behind a read.
fn source(nodes: &[Node], read: Read) -> usize {
    match read {
        Read::Stored(value) => value,
        Read::Normed { norm, .. } => nodes[norm].input,
    }
}

/// In training, values keep their buffers, but for elementwise nodes that may write over their
/// input; in inference, a buffer is free again after the last step that reads it.
fn plan_slots(nodes: &[Node], forward: &[Forward], training: bool) -> Slots {
    let mut reads: Vec<Vec<usize>> = forward
        .iter()
        .map(|step| match step {
            Forward::Plain { node } => nodes[*node].inputs().collect(),
            Forward::Weighted { input, .. } => vec![source(nodes, *input)],
            Forward::Moments { norm } => vec![nodes[*norm].input],
            Forward::Combine { join, .. } => std::iter::once(nodes[join.norm].input)
                .chain(join.second.map(|second| source(nodes, second)))
                .collect(),
        })
        .collect();
    // What is combined by the next step is read by that.
    for step in 1..forward.len() {
        let Forward::Combine { value, .. } = forward[step - 1] else { continue };
        if forward[step].writes_input(value, nodes) {
            let operands = std::mem::take(&mut reads[step - 1]);
            reads[step].extend(operands);
        }
    }
    let mut last_read = vec![0; nodes.len() + 1];
    let mut reads_of = vec![0; nodes.len() + 1];
    for (step, values) in reads.iter().enumerate() {
        for &value in values {
            last_read[value] = step;
            reads_of[value] += 1;
        }
    }
    let mut pool = Pool::default();
    let mut of_value = vec![NOWHERE; nodes.len() + 1];
    of_value[0] = IMAGES;
    for (index, step) in forward.iter().enumerate() {
        let mut written = None;
        match step {
            Forward::Plain { node } => written = Some(node + 1),
            Forward::Weighted { node, pool, .. } => written = Some(pool.unwrap_or(*node) + 1),
            Forward::Combine { value, .. } => written = Some(*value),
            Forward::Moments { .. } => {}
        }
        if let Some(value) = written {
            let node = &nodes[value - 1];
            let over_input = matches!(step, Forward::Plain { .. })
                && node.input != 0
                && reads_of[node.input] == 1
                && node.op.is_in_place()
                && (!training || node.op.may_overwrite(&nodes[node.input - 1].op));
            of_value[value] =
                if over_input { of_value[node.input] } else { pool.take(elements(node.shape)) };
        }
        let slot = written.map_or(NOWHERE, |value| of_value[value]);
        for &value in reads[index].iter().filter(|_| !training) {
            // A sum of a value with itself reads it twice.
            let last = last_read[value] == index && value != 0;
            if last && of_value[value] != slot && !pool.is_free(of_value[value]) {
                pool.give(of_value[value]);
            }
        }
    }
    Slots { of_value, lengths: pool.lengths }
}

/// The backward pass as it grows: the forward steps come in reverse.
struct Planner<'a> {
    input: Shape,
    nodes: &'a [Node],
    pool: Pool,
    /// How many gradients each slot holds: that of a sum is that of its parts.
    holders: Vec<usize>,
    /// Slot of the gradient of each value, so far.
    of_value: Vec<Option<usize>>,
    /// Slot of the gradient of each norm's output, finished.
    of_norm: Vec<Option<usize>>,
    /// The convolution or linear layer that wrote the last part of a value's gradient, as a step.
    writer: Vec<Option<usize>>,
    steps: Vec<Backward>,
}

impl<'a> Planner<'a> {
    fn new(input: Shape, nodes: &'a [Node]) -> Self {
        let mut planner = Self {
            input,
            nodes,
            pool: Pool::default(),
            holders: Vec::new(),
            of_value: vec![None; nodes.len() + 1],
            of_norm: vec![None; nodes.len()],
            writer: vec![None; nodes.len() + 1],
            steps: Vec::new(),
        };
        planner.of_value[nodes.len()] = Some(planner.take(nodes.len()));
        planner
    }

    /// A slot for the gradient of a value.
    fn take(&mut self, value: usize) -> usize {
        let shape = if value == 0 { self.input } else { self.nodes[value - 1].shape };
        let slot = self.pool.take(elements(shape));
        self.holders.resize(self.pool.lengths.len(), 0);
        self.holders[slot] = 1;
        slot
    }

    fn release(&mut self, slot: usize) {
        self.holders[slot] -= 1;
        if self.holders[slot] == 0 {
            self.pool.give(slot);
        }
    }

    fn step(&mut self, step: &Forward) {
        match *step {
            Forward::Plain { node } => self.plain(node),
            Forward::Weighted { node, input, pool, norm } => {
                self.weighted(node, input, pool, norm);
            }
            Forward::Moments { norm } => self.norm(norm),
            Forward::Combine { value, join } => self.combine(value, join),
        }
    }

    fn plain(&mut self, index: usize) {
        let node = &self.nodes[index];
        let output = self.of_value[index + 1].take().expect("each value is used by a later node");
        let in_place = node.op.has_in_place_gradient();
        // A copy of a sum's gradient is made before its own buffer is passed on.
        let other = node.inputs().nth(1).filter(|&value| value != 0).map(|value| {
            self.writer[value] = None;
            if let Some(into) = self.of_value[value] {
                return Target { slot: output, into: Some(into) };
            }
            let slot = self.take(value);
            self.of_value[value] = Some(slot);
            Target { slot, into: None }
        });
        let mut taken = false;
        let input = (node.input != 0).then(|| {
            self.writer[node.input] = None;
            let slot = if in_place { output } else { self.take(node.input) };
            let into = self.of_value[node.input];
            if into.is_some() {
                if !in_place {
                    self.release(slot);
                }
            } else {
                self.of_value[node.input] = Some(slot);
                taken = in_place;
            }
            Target { slot, into }
        });
        if !taken {
            self.release(output);
        }
        self.steps.push(Backward::Plain(BackwardStep { node: index, output, input, other }));
    }

    fn weighted(&mut self, node: usize, input: Read, pool: Option<usize>, norm: Option<usize>) {
        let gradient = match norm {
            Some(norm) => self.of_norm[norm].take().expect("a norm's output is used"),
            None => {
                let written = pool.unwrap_or(node) + 1;
                self.of_value[written].take().expect("each value is used by a later node")
            }
        };
        let room = (norm.is_some() && pool.is_none()).then(|| self.take(node + 1));
        let target = match input {
            Read::Stored(0) => None,
            Read::Stored(value) => {
                let slot = self.take(value);
                let add = self.of_value[value].replace(slot);
                self.writer[value] = Some(self.steps.len());
                add.into_iter().for_each(|add| self.release(add));
                Some((slot, Finishing { add, ..Finishing::default() }))
            }
            Read::Normed { norm, relu } => {
                let slot = self.take(self.nodes[node].input);
                self.of_norm[norm] = Some(slot);
                let gate = relu.then_some(input);
                Some((slot, Finishing { add: None, gate, norms: [Some(norm), None] }))
            }
        };
        self.release(gradient);
        room.into_iter().for_each(|room| self.release(room));
        let step = Backward::Weighted { node, input, pool, norm, gradient, room, target };
        self.steps.push(step);
    }

    fn norm(&mut self, norm: usize) {
        let gradient = self.of_norm[norm].take().expect("a norm's output is used");
        let value = self.nodes[norm].input;
        if value != 0 {
            let to = self.take(value);
            let add = self.of_value[value].replace(to);
            self.writer[value] = None;
            add.into_iter().for_each(|add| self.release(add));
            self.steps.push(Backward::Norm { norm, gradient, add, to });
        }
        self.release(gradient);
    }

    fn combine(&mut self, value: usize, join: Join) {
        let slot = self.of_value[value].take().expect("each value is used by a later node");
        let gate = join.relu.then_some(Read::Stored(value));
        let mut norms = [Some(join.norm), None];
        self.of_norm[join.norm] = Some(slot);
        match join.second {
            Some(Read::Normed { norm, .. }) => {
                norms[1] = Some(norm);
                self.of_norm[norm] = Some(slot);
                self.holders[slot] += 1;
            }
            Some(Read::Stored(other)) if other != 0 => {
                assert!(self.of_value[other].is_none(), "the sum is the last to read it");
                self.of_value[other] = Some(slot);
                self.writer[other] = None;
                self.holders[slot] += 1;
            }
            _ => {}
        }
        let writer = self.writer[value].and_then(|step| match &mut self.steps[step] {
            Backward::Weighted { target, .. } => target.as_mut(),
            _ => None,
        });
        match writer {
            Some((_, finishing)) => (finishing.gate, finishing.norms) = (gate, norms),
            None => {
                let finishing = Finishing { add: None, gate, norms };
                self.steps.push(Backward::Finish { value, slot, finishing });
            }
        }
    }
}
