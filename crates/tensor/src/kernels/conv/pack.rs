//! Weights in the order in which the register tile reads them.
//!
//! For each pair of phases, target channels are cut into panels of 16 or 32; a panel is
//! (taps of the row phase, taps of the column phase, source channels, 16 or 32 target channels),
//! with zeros after the last channel.

use rayon::prelude::*;

use super::correlation::{Axis, Correlation};
use crate::kernels::simd::LANES;

impl Correlation {
    /// Target channels, rounded up to whole vectors.
    pub(super) fn padded_channels(&self) -> usize {
        self.channels().1.next_multiple_of(LANES)
    }

    /// Products to a target value in a pair of phases.
    pub(super) fn depth(&self, rows: &Axis, columns: &Axis) -> usize {
        rows.taps * columns.taps * self.channels().0
    }

    /// Elements of the packed weights.
    pub(super) fn packed_len(&self) -> usize {
        self.phase_pairs().map(|(y, x)| self.depth(&y, &x)).sum::<usize>() * self.padded_channels()
    }

    /// Each pair of a row phase and a column phase, in the order of the packed weights.
    pub(super) fn phase_pairs(self) -> impl Iterator<Item = (Axis, Axis)> {
        (0..self.phases(0))
            .flat_map(move |r| (0..self.phases(1)).map(move |s| (self.axis(0, r), self.axis(1, s))))
    }

    /// Packs weights (O, I, KH, KW) for register tiles of at most `columns` vectors.
    pub(super) fn pack(&self, weight: &[f32], columns: usize, packed: &mut [f32]) {
        let mut rest = packed;
        for (y, x) in self.phase_pairs() {
            let depth = self.depth(&y, &x);
            let (pair, tail) = rest.split_at_mut(depth * self.padded_channels());
            rest = tail;
            if depth == 0 {
                continue;
            }
            let panels = pair.par_chunks_mut(depth * columns * LANES);
            panels.enumerate().for_each(|(panel, packed)| {
                self.pack_panel(weight, (&y, &x), panel * columns * LANES, packed);
            });
        }
    }

    /// Packs one panel of a pair of phases, the target channels from `first` on.
    pub(super) fn pack_panel(
        &self,
        weight: &[f32],
        (y, x): (&Axis, &Axis),
        first: usize,
        packed: &mut [f32],
    ) {
        let (sources, targets) = self.channels();
        let width = packed.len() / self.depth(y, x);
        let filled = width.min(targets - first);
        let channel = self.weight_index(1, 0, 0, 0);
        for t in 0..y.taps * x.taps {
            let (u, v) = (y.kernel(t / x.taps), x.kernel(t % x.taps));
            let rows = packed[t * sources * width..].chunks_exact_mut(width).take(sources);
            for (source, row) in rows.enumerate() {
                let from = &weight[self.weight_index(first, source, u, v)..];
                let from = from.iter().step_by(channel);
                row.iter_mut().take(filled).zip(from).for_each(|(to, from)| *to = *from);
                row[filled..].fill(0.0);
            }
        }
    }
}
