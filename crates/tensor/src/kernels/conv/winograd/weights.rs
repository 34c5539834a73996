//! The transformed weights `G w G^T`: 36 planes of panels (source channels, 16 or 32 target
//! channels), as [`Correlation::pack`] has them for each tap.

use rayon::prelude::*;

use super::blocks::planes;
use super::transform::{PRODUCTS, Square, weight_plane};
use crate::kernels::InstructionSet;
use crate::kernels::conv::correlation::Correlation;
use crate::kernels::simd::{self, LANES, Simd, Task, Vector};

/// Packs and transforms weights, a panel to a task.
pub(super) fn transform(
    set: InstructionSet,
    correlation: &Correlation,
    weight: &[f32],
    packed: &mut [f32],
    transformed: &mut [f32],
) {
    let axes = [correlation.axis(0, 0), correlation.axis(1, 0)];
    let taps = axes[0].taps;
    let (sources, _) = correlation.channels();
    let width = simd::columns(set) * LANES;
    // Panels of all planes lie together, so that each task writes one piece.
    let packed = packed.par_chunks_mut(taps * taps * sources * width);
    let panels = packed.zip(transformed.par_chunks_mut(PRODUCTS * sources * width));
    panels.enumerate().for_each(|(panel, (packed, to))| {
        correlation.pack_panel(weight, (&axes[0], &axes[1]), panel * width, packed);
        simd::run(set, Panel { taps, from: packed, to });
    });
}

struct Panel<'a> {
    taps: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Task for Panel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        match self.taps {
            3 => self.planes::<V, 3>(),
            _ => self.planes::<V, 5>(),
        }
    }
}

impl Panel<'_> {
    #[inline(always)]
    fn planes<V: Vector, const R: usize>(self) {
        let plane = self.to.len() / PRODUCTS;
        assert_eq!(self.from.len(), R * R * plane);
        let (from, to) = (Square::whole([R * plane, plane]), planes(plane));
        for at in (0..plane).step_by(V::Register::WIDTH) {
            // SAFETY: a plane is whole vectors long; `from` has R R of them and `to` 36.
            unsafe {
                let (w, points) = (self.from.as_ptr().add(at), self.to.as_mut_ptr().add(at));
                weight_plane::<V::Register, R>((w, from), (points, to));
            }
        }
    }
}
