//! Sixteen lanes as one AVX-512 register or two AVX2 registers.

use std::arch::x86_64::*;

use super::{LANES, Simd, Task, Vector};

/// # Safety
/// The CPU has AVX-512 F, DQ, BW and VL, AVX2 and FMA.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run::<Avx512>()
}

/// # Safety
/// The CPU has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run::<Avx2>()
}

/// An intrinsic inside a method of one of the vectors below.
macro_rules! intrinsic {
    ($call:expr) => {
        // SAFETY: the vectors are private to this file, and the functions above, which alone name
        // them, require a CPU with their instructions; pointers are vouched for by the callers of
        // `load` and `store`, which are themselves unsafe.
        unsafe { $call }
    };
}

/// One `zmm` register.
#[derive(Clone, Copy)]
struct Avx512(__m512);

impl Vector for Avx512 {
    type Register = Self;

    const ROWS: usize = 8;
    const COLUMNS: usize = 2;

    #[inline(always)]
    fn split(self, upper: Self) -> [Self; 3] {
        let half = intrinsic!(_mm512_set1_epi32(0x8000));
        let eight_bits = intrinsic!(_mm512_set1_epi32(0xffff_0000_u32 as i32));
        let (mut low, mut high) = (self.0, upper.0);
        let mut parts = [self; 3];
        for part in 0..3 {
            let mut l = intrinsic!(_mm512_castps_si512(low));
            let mut h = intrinsic!(_mm512_castps_si512(high));
            if part < 2 {
                l = intrinsic!(_mm512_and_si512(_mm512_add_epi32(l, half), eight_bits));
                h = intrinsic!(_mm512_and_si512(_mm512_add_epi32(h, half), eight_bits));
                low = intrinsic!(_mm512_sub_ps(low, _mm512_castsi512_ps(l)));
                high = intrinsic!(_mm512_sub_ps(high, _mm512_castsi512_ps(h)));
            }
            let (l, h) = (
                intrinsic!(_mm512_srli_epi32::<16>(l)),
                intrinsic!(_mm512_and_si512(h, eight_bits)),
            );
            parts[part] = Self(intrinsic!(_mm512_castsi512_ps(_mm512_or_si512(l, h))));
        }
        parts
    }

    #[inline(always)]
    fn round(self, upper: Self) -> Self {
        let below_half = intrinsic!(_mm512_set1_epi32(0x7fff));
        let one = intrinsic!(_mm512_set1_epi32(1));
        let mut halves = [self.0, upper.0];
        for half in 0..2 {
            let value = halves[half];
            let bits = intrinsic!(_mm512_castps_si512(value));
            let odd = intrinsic!(_mm512_and_si512(_mm512_srli_epi32::<16>(bits), one));
            let step = intrinsic!(_mm512_add_epi32(odd, below_half));
            let number = intrinsic!(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(value, value));
            let rounded = intrinsic!(_mm512_mask_add_epi32(bits, number, bits, step));
            halves[half] = intrinsic!(_mm512_castsi512_ps(rounded));
        }
        let [low, high] = halves;
        let low = intrinsic!(_mm512_srli_epi32::<16>(_mm512_castps_si512(low)));
        let high = intrinsic!(_mm512_castps_si512(high));
        // The upper halves of the lanes of `high`.
        let pairs = intrinsic!(_mm512_mask_blend_epi16(0xaaaa_aaaa, low, high));
        Self(intrinsic!(_mm512_castsi512_ps(pairs)))
    }

    #[inline(always)]
    fn alternate(self, next: Self) -> [Self; 2] {
        let even =
            intrinsic!(_mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0));
        let odd = intrinsic!(_mm512_add_epi32(even, _mm512_set1_epi32(1)));
        let even = intrinsic!(_mm512_permutex2var_ps(self.0, even, next.0));
        let odd = intrinsic!(_mm512_permutex2var_ps(self.0, odd, next.0));
        [Self(even), Self(odd)]
    }

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        let (mut a, mut b) = (rows, rows);
        // Pairs of rows, then fours: 4x4 blocks are transposed within their lanes.
        for i in (0..LANES).step_by(2) {
            b[i] = Self(intrinsic!(_mm512_unpacklo_ps(a[i].0, a[i + 1].0)));
            b[i + 1] = Self(intrinsic!(_mm512_unpackhi_ps(a[i].0, a[i + 1].0)));
        }
        for i in (0..LANES).step_by(4) {
            for half in 0..2 {
                let low = intrinsic!(_mm512_castps_pd(b[i + half].0));
                let high = intrinsic!(_mm512_castps_pd(b[i + half + 2].0));
                let even = intrinsic!(_mm512_castpd_ps(_mm512_unpacklo_pd(low, high)));
                let odd = intrinsic!(_mm512_castpd_ps(_mm512_unpackhi_pd(low, high)));
                (a[i + 2 * half], a[i + 2 * half + 1]) = (Self(even), Self(odd));
            }
        }
        // Then the blocks change places: first within halves of the rows, then between them.
        for i in 0..4 {
            for half in [0, 8] {
                let (low, high) = (a[half + i].0, a[half + i + 4].0);
                b[half + i] = Self(intrinsic!(_mm512_shuffle_f32x4::<0x88>(low, high)));
                b[half + i + 4] = Self(intrinsic!(_mm512_shuffle_f32x4::<0xdd>(low, high)));
            }
        }
        for i in 0..8 {
            let (low, high) = (b[i].0, b[i + 8].0);
            a[i] = Self(intrinsic!(_mm512_shuffle_f32x4::<0x88>(low, high)));
            a[i + 8] = Self(intrinsic!(_mm512_shuffle_f32x4::<0xdd>(low, high)));
        }
        a
    }
}

impl Simd for Avx512 {
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(intrinsic!(_mm512_set1_ps(value)))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(intrinsic!(_mm512_loadu_ps(from)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        intrinsic!(_mm512_storeu_ps(to, self.0));
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(intrinsic!(_mm512_fmadd_ps(self.0, factor.0, term.0)))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_add_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_sub_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsic!(_mm512_mul_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // Of a NaN and a number, the second operand is the result.
        Self(intrinsic!(_mm512_max_ps(_mm512_setzero_ps(), self.0)))
    }

    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        Self(intrinsic!(_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate.0, _mm512_setzero_ps()),
            self.0
        )))
    }

    #[inline(always)]
    fn where_same(self, a: Self, b: Self) -> Self {
        Self(intrinsic!(_mm512_maskz_mov_ps(
            _mm512_cmpeq_epi32_mask(_mm512_castps_si512(a.0), _mm512_castps_si512(b.0)),
            self.0
        )))
    }

    #[inline(always)]
    fn larger(self, best: Self, [own, other]: [Self; 2]) -> (Self, Self) {
        let greater = intrinsic!(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(self.0, best.0));
        let nan = intrinsic!(_mm512_cmp_ps_mask::<_CMP_UNORD_Q>(self.0, self.0));
        let wins = greater | nan;
        (
            Self(intrinsic!(_mm512_mask_blend_ps(wins, best.0, self.0))),
            Self(intrinsic!(_mm512_mask_blend_ps(wins, other.0, own.0))),
        )
    }
}

/// One `ymm` register.
#[derive(Clone, Copy)]
struct Ymm(__m256);

impl Simd for Ymm {
    const WIDTH: usize = 8;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(intrinsic!(_mm256_set1_ps(value)))
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        Self(intrinsic!(_mm256_loadu_ps(from)))
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        intrinsic!(_mm256_storeu_ps(to, self.0));
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(intrinsic!(_mm256_fmadd_ps(self.0, factor.0, term.0)))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_add_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_sub_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(intrinsic!(_mm256_mul_ps(self.0, other.0)))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        // Of a NaN and a number, the second operand is the result.
        Self(intrinsic!(_mm256_max_ps(_mm256_setzero_ps(), self.0)))
    }

    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        let zero = intrinsic!(_mm256_setzero_ps());
        Self(intrinsic!(_mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(gate.0, zero))))
    }

    #[inline(always)]
    fn where_same(self, a: Self, b: Self) -> Self {
        let same =
            intrinsic!(_mm256_cmpeq_epi32(_mm256_castps_si256(a.0), _mm256_castps_si256(b.0)));
        Self(intrinsic!(_mm256_and_ps(self.0, _mm256_castsi256_ps(same))))
    }

    #[inline(always)]
    fn larger(self, best: Self, [own, other]: [Self; 2]) -> (Self, Self) {
        let greater = intrinsic!(_mm256_cmp_ps::<_CMP_GT_OQ>(self.0, best.0));
        let nan = intrinsic!(_mm256_cmp_ps::<_CMP_UNORD_Q>(self.0, self.0));
        let wins = intrinsic!(_mm256_or_ps(greater, nan));
        (
            Self(intrinsic!(_mm256_blendv_ps(best.0, self.0, wins))),
            Self(intrinsic!(_mm256_blendv_ps(other.0, own.0, wins))),
        )
    }
}

/// Two `ymm` registers.
#[derive(Clone, Copy)]
struct Avx2(Ymm, Ymm);

impl Vector for Avx2 {
    type Register = Ymm;

    const ROWS: usize = 6;
    const COLUMNS: usize = 1;

    #[inline(always)]
    fn transpose(rows: [Self; LANES]) -> [Self; LANES] {
        // Each quarter is transposed, and the two off the diagonal change places.
        let mut to = rows;
        for (low, high) in [(0, 0), (0, 8), (8, 0), (8, 8)] {
            let mut quarter = [rows[0].0; 8];
            for i in 0..8 {
                quarter[i] = if high == 0 { rows[low + i].0 } else { rows[low + i].1 };
            }
            let quarter = transpose_8(quarter);
            for i in 0..8 {
                let half = if low == 0 { &mut to[high + i].0 } else { &mut to[high + i].1 };
                *half = quarter[i];
            }
        }
        to
    }
}

/// Transposes an 8 x 8 block.
#[inline(always)]
fn transpose_8(rows: [Ymm; 8]) -> [Ymm; 8] {
    let (mut a, mut b) = (rows, rows);
    // 4 x 4 blocks are transposed within their halves of the registers.
    for i in (0..8).step_by(2) {
        b[i] = Ymm(intrinsic!(_mm256_unpacklo_ps(a[i].0, a[i + 1].0)));
        b[i + 1] = Ymm(intrinsic!(_mm256_unpackhi_ps(a[i].0, a[i + 1].0)));
    }
    for i in (0..8).step_by(4) {
        for half in 0..2 {
            let (low, high) = (b[i + half].0, b[i + half + 2].0);
            a[i + 2 * half] = Ymm(intrinsic!(_mm256_shuffle_ps::<0x44>(low, high)));
            a[i + 2 * half + 1] = Ymm(intrinsic!(_mm256_shuffle_ps::<0xee>(low, high)));
        }
    }
    // Then the blocks change places.
    for i in 0..4 {
        let (low, high) = (a[i].0, a[i + 4].0);
        b[i] = Ymm(intrinsic!(_mm256_permute2f128_ps::<0x20>(low, high)));
        b[i + 4] = Ymm(intrinsic!(_mm256_permute2f128_ps::<0x31>(low, high)));
    }
    b
}

/// Both halves.
impl Simd for Avx2 {
    const WIDTH: usize = LANES;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        let value = Ymm::splat(value);
        Self(value, value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller vouches for sixteen values.
        unsafe { Self(Ymm::load(from), Ymm::load(from.add(8))) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller vouches for sixteen values.
        unsafe {
            self.0.store(to);
            self.1.store(to.add(8));
        }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(self.0.mul_add(factor.0, term.0), self.1.mul_add(factor.1, term.1))
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self(self.0.add(other.0), self.1.add(other.1))
    }

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self(self.0.sub(other.0), self.1.sub(other.1))
    }

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self(self.0.mul(other.0), self.1.mul(other.1))
    }

    #[inline(always)]
    fn relu(self) -> Self {
        Self(self.0.relu(), self.1.relu())
    }

    #[inline(always)]
    fn where_positive(self, gate: Self) -> Self {
        Self(self.0.where_positive(gate.0), self.1.where_positive(gate.1))
    }

    #[inline(always)]
    fn where_same(self, a: Self, b: Self) -> Self {
        Self(self.0.where_same(a.0, b.0), self.1.where_same(a.1, b.1))
    }

    #[inline(always)]
    fn larger(self, best: Self, [own, other]: [Self; 2]) -> (Self, Self) {
        let low = self.0.larger(best.0, [own.0, other.0]);
        let high = self.1.larger(best.1, [own.1, other.1]);
        (Self(low.0, high.0), Self(low.1, high.1))
    }
}
