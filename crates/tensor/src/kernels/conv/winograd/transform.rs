//! The transforms of Winograd's convolution with six points to a side.
//!
//! A polynomial product of degree 5 is fixed by its values at six points, here 0, 1, -1, 2, -2 and
//! infinity. So along an axis, m outputs of a correlation with r taps, m + r - 1 = 6, cost six
//! products instead of m r: `y = A^T [(G w) * (B^T d)]`, and in the plane both ways, `36` products
//! for m^2 outputs instead of m^2 r^2. F(4, 3) has m = 4, r = 3, and F(2, 5) has m = 2, r = 5;
//! B depends on the points only and serves both. With p the point of row j,
//! `G[j][k] = p^k / f_j` and `A^T[i][j] = p^i`; infinity takes the highest power only.
//!
//! # Source
//! Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", 2016 (arXiv:1509.09308).

use std::mem::MaybeUninit;

use crate::kernels::simd::Simd;

/// Points to a side, and values to a side of a transformed tile.
pub(super) const POINTS: usize = 6;
/// Products to a tile.
pub(super) const PRODUCTS: usize = POINTS * POINTS;

/// Row j of G, for all powers of the point that any kernel here takes; infinity takes the last.
const G: [[f32; 5]; POINTS - 1] = [
    [1.0 / 4.0, 0.0, 0.0, 0.0, 0.0],
    [-1.0 / 6.0; 5],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0, 1.0 / 3.0, 2.0 / 3.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0, -1.0 / 3.0, 2.0 / 3.0],
];

/// Element (j, k) of G for R taps.
#[inline(always)]
fn g<const R: usize>(j: usize, k: usize) -> f32 {
    if j + 1 < POINTS {
        G[j][k]
    } else if k + 1 == R {
        1.0
    } else {
        0.0
    }
}

/// `G w`: R taps to six points.
#[inline(always)]
pub(super) fn weight<V: Simd, const R: usize>(w: [V; R]) -> [V; POINTS] {
    let mut points = [V::splat(0.0); POINTS];
    for j in 0..POINTS {
        for k in 0..R {
            points[j] = w[k].mul_add(V::splat(g::<R>(j, k)), points[j]);
        }
    }
    points
}

/// `G^T m`: the gradient of R taps, given that of six points.
#[inline(always)]
pub(super) fn weight_adjoint<V: Simd, const R: usize>(points: [V; POINTS]) -> [V; R] {
    let mut w = [V::splat(0.0); R];
    for k in 0..R {
        for j in 0..POINTS {
            w[k] = points[j].mul_add(V::splat(g::<R>(j, k)), w[k]);
        }
    }
    w
}

/// `B^T d`: six neighbouring values to six points.
#[inline(always)]
pub(super) fn input<V: Simd>(d: [V; POINTS]) -> [V; POINTS] {
    let (two, four) = (V::splat(2.0), V::splat(4.0));
    let (minus_two, minus_four, minus_five) = (V::splat(-2.0), V::splat(-4.0), V::splat(-5.0));
    let even = d[2].mul_add(minus_four, d[4]);
    let odd = d[1].mul_add(minus_four, d[3]);
    let even_two = d[4].sub(d[2]);
    let odd_two = d[3].sub(d[1]);
    [
        d[0].mul_add(four, d[2].mul_add(minus_five, d[4])),
        even.add(odd),
        even.sub(odd),
        odd_two.mul_add(two, even_two),
        odd_two.mul_add(minus_two, even_two),
        d[1].mul_add(four, d[3].mul_add(minus_five, d[5])),
    ]
}

/// `A^T m`: six points to M outputs, M = 4 or 2.
#[inline(always)]
pub(super) fn output<V: Simd, const M: usize>(m: [V; POINTS]) -> [V; M] {
    let (even, odd) = (m[1].add(m[2]), m[1].sub(m[2]));
    let (even_two, odd_two) = (m[3].add(m[4]), m[3].sub(m[4]));
    let mut y = [m[0].add(even).add(even_two); M];
    y[1] = odd_two.mul_add(V::splat(2.0), odd);
    if M == 4 {
        y[2] = even_two.mul_add(V::splat(4.0), even);
        y[3] = odd_two.mul_add(V::splat(8.0), odd);
    }
    y[M - 1] = y[M - 1].add(m[5]);
    y
}

/// `A g`: the gradient of M outputs to that of six points.
#[inline(always)]
pub(super) fn output_adjoint<V: Simd, const M: usize>(y: [V; M]) -> [V; POINTS] {
    let (two, minus_two) = (V::splat(2.0), V::splat(-2.0));
    if M == 2 {
        let (even, odd) = (y[0], y[1]);
        return [
            even,
            even.add(odd),
            even.sub(odd),
            odd.mul_add(two, even),
            odd.mul_add(minus_two, even),
            odd,
        ];
    }
    let four = V::splat(4.0);
    let (even, odd) = (y[0].add(y[M - 2]), y[1].add(y[M - 1]));
    let even_two = y[M - 2].mul_add(four, y[0]);
    let odd_two = y[M - 1].mul_add(four, y[1]);
    [
        y[0],
        even.add(odd),
        even.sub(odd),
        odd_two.mul_add(two, even_two),
        odd_two.mul_add(minus_two, even_two),
        y[M - 1],
    ]
}

/// Where the values of a square lie: vectors `strides` apart from row to row and from column to
/// column. Rows and columns from `valid` on are zeros to read, and are not written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Square {
    pub(super) strides: [usize; 2],
    pub(super) valid: [usize; 2],
}

impl Square {
    /// A square of which all values are there.
    #[inline(always)]
    pub(super) fn whole(strides: [usize; 2]) -> Self {
        Self { strides, valid: [usize::MAX; 2] }
    }

    #[inline(always)]
    fn at(&self, y: usize, x: usize) -> Option<usize> {
        let inside = y < self.valid[0] && x < self.valid[1];
        inside.then(|| y * self.strides[0] + x * self.strides[1])
    }
}

/// A transform of the plane, both ways: of each row on its way in, of each column on its way out.
/// In between the values lie in memory: all of them at once would not fit the registers.
macro_rules! plane {
    ($(#[$doc:meta])* $name:ident, $axis:ident, [$($size:ident)?], $from:expr, $to:expr) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// `from` and `to` are valid for reading and writing a register at each place of their
        /// squares.
        #[inline(always)]
        pub(super) unsafe fn $name<S: Simd $(, const $size: usize)?>(
            (from, source): (*const f32, Square),
            (to, target): (*mut f32, Square),
        ) {
            let mut rows = MaybeUninit::<[[S; $to]; $from]>::uninit();
            let rows = rows.as_mut_ptr().cast::<S>();
            for y in 0..$from {
                let mut row = [S::splat(0.0); $from];
                for x in 0..$from {
                    if let Some(at) = source.at(y, x) {
                        // SAFETY: the caller vouches for the places of the square.
                        row[x] = unsafe { S::load(from.add(at)) };
                    }
                }
                let row: [S; $to] = $axis(row);
                for x in 0..$to {
                    // SAFETY: there are as many rows of as many values.
                    unsafe { rows.add(y * $to + x).write(row[x]) };
                }
            }
            for x in 0..$to {
                let mut column = [S::splat(0.0); $from];
                for y in 0..$from {
                    // SAFETY: each value has just been written.
                    column[y] = unsafe { rows.add(y * $to + x).read() };
                }
                let column: [S; $to] = $axis(column);
                for y in 0..$to {
                    if let Some(at) = target.at(y, x) {
                        // SAFETY: the caller vouches for the places of the square.
                        unsafe { column[y].store(to.add(at)) };
                    }
                }
            }
        }
    };
}

plane!(/** `G w G^T`. */ weight_plane, weight, [R], R, POINTS);
plane!(/** `G^T m G`. */ weight_plane_adjoint, weight_adjoint, [R], POINTS, R);
plane!(/** `B^T d B`. */ input_plane, input, [], POINTS, POINTS);
plane!(/** `A^T m A`. */ output_plane, output, [M], POINTS, M);
plane!(/** `A g A^T`. */ output_plane_adjoint, output_adjoint, [M], M, POINTS);
