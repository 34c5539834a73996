//! Convolution, max pool and matrix product on plain slices, channels last.
//!
//! Images are (N, H, W, C), row-major; convolution weights are (O, I, KH, KW) as in PyTorch, and
//! are repacked inside. Each operation has a plain definition, generic over [`Real`](crate::Real),
//! which is the oracle of the fast kernels in tests. Those of `f32` train; `f64` measures and checks,
//! and leaves its sums to `matrixmultiply`.
//!
//! All kernels work in parallel on the current Rayon pool and give the same bits for any number of
//! threads: work is cut into chunks that depend on shapes only, and sums run in a fixed order.
//!
//! This module is the only one with unsafe code: vector instructions and the matrix unit, pointers in
//! the inner loops, and the request for huge pages. One source is compiled for each instruction set,
//! see `simd`; [`KernelChoice`] picks the algorithms.

mod ahead;
mod conv;
mod dispatch;
mod gemm;
pub mod machine;
mod normalise;
mod pool;
mod precision;
pub(crate) mod remaining;
mod scratch;
pub(crate) mod simd;
mod tile;
mod unit;

pub use conv::{Conv2dShape, fused};
pub use dispatch::{InstructionSet, KernelChoice, kernels_in_use, vectorised};
pub use gemm::{MatrixMut, MatrixRef};
pub use pool::{max_pool, max_pool_gradient};
pub(crate) use precision::Arithmetic;
pub use precision::Precision;
pub use scratch::{Aligned, Scratch};

/// The kernels of one precision: our own for `f32`, for `f64` products of `matrixmultiply`.
///
/// Layers call these through [`Real`](crate::Real); slices of a wrong length are a bug of the
/// caller and panic.
pub trait Kernels: Sized + Copy {
    /// `c = a b`, with a (m, k) and b (k, n) in any strides; c (m, n) is overwritten, whatever it
    /// holds.
    ///
    /// # Panics
    /// If the shapes do not fit.
    fn gemm(a: MatrixRef<'_, Self>, b: MatrixRef<'_, Self>, c: MatrixMut<'_, Self>);

    /// `output[n,y,x,o] = sum_{i,u,v} weight[o,i,u,v] input[n, y s + u - p, x s + v - p, i]`.
    ///
    /// # Panics
    /// If a slice does not have the length that `shape` says.
    fn conv2d_forward(
        shape: &Conv2dShape,
        input: &[Self],
        weight: &[Self],
        output: &mut [Self],
        scratch: &mut Scratch<Self>,
    );

    /// The gradient with respect to the input (overwritten), given that of the output.
    ///
    /// # Panics
    /// If a slice does not have the length that `shape` says.
    fn conv2d_input_gradient(
        shape: &Conv2dShape,
        weight: &[Self],
        output_gradient: &[Self],
        input_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    );

    /// The gradient with respect to the weight (overwritten), given that of the output.
    ///
    /// # Panics
    /// If a slice does not have the length that `shape` says.
    fn conv2d_weight_gradient(
        shape: &Conv2dShape,
        input: &[Self],
        output_gradient: &[Self],
        weight_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    );
}

impl Kernels for f32 {
    fn gemm(a: MatrixRef<'_, Self>, b: MatrixRef<'_, Self>, c: MatrixMut<'_, Self>) {
        match KernelChoice::current() {
            KernelChoice::Scalar => gemm::plain::gemm(a, b, c),
            _ => gemm::product(Arithmetic::current(), &gemm::Product::new(a, b), c),
        }
    }

    fn conv2d_forward(
        shape: &Conv2dShape,
        input: &[Self],
        weight: &[Self],
        output: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::forward(shape, input, weight, output, scratch),
            choice => {
                let how = (choice, Arithmetic::current());
                conv::forward(how, shape, input, weight, output, scratch);
            }
        }
    }

    fn conv2d_input_gradient(
        shape: &Conv2dShape,
        weight: &[Self],
        output_gradient: &[Self],
        input_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        let (g, dx) = (output_gradient, input_gradient);
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::input_gradient(shape, weight, g, dx, scratch),
            choice => {
                let how = (choice, Arithmetic::current());
                conv::input_gradient(how, shape, weight, g, dx, scratch);
            }
        }
    }

    fn conv2d_weight_gradient(
        shape: &Conv2dShape,
        input: &[Self],
        output_gradient: &[Self],
        weight_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        let (g, dw) = (output_gradient, weight_gradient);
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::weight_gradient(shape, input, g, dw, scratch),
            choice => {
                let how = (choice, Arithmetic::current());
                conv::weight_gradient(how, shape, input, g, dw, scratch);
            }
        }
    }
}

impl Kernels for f64 {
    fn gemm(a: MatrixRef<'_, Self>, b: MatrixRef<'_, Self>, c: MatrixMut<'_, Self>) {
        match KernelChoice::current() {
            KernelChoice::Scalar => gemm::plain::gemm(a, b, c),
            _ => gemm::double(a, b, c),
        }
    }

    fn conv2d_forward(
        shape: &Conv2dShape,
        input: &[Self],
        weight: &[Self],
        output: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::forward(shape, input, weight, output, scratch),
            _ => conv::double::forward(shape, input, weight, output, scratch),
        }
    }

    fn conv2d_input_gradient(
        shape: &Conv2dShape,
        weight: &[Self],
        output_gradient: &[Self],
        input_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        let (g, dx) = (output_gradient, input_gradient);
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::input_gradient(shape, weight, g, dx, scratch),
            _ => conv::double::input_gradient(shape, weight, g, dx, scratch),
        }
    }

    fn conv2d_weight_gradient(
        shape: &Conv2dShape,
        input: &[Self],
        output_gradient: &[Self],
        weight_gradient: &mut [Self],
        scratch: &mut Scratch<Self>,
    ) {
        let (g, dw) = (output_gradient, weight_gradient);
        match KernelChoice::current() {
            KernelChoice::Scalar => conv::plain::weight_gradient(shape, input, g, dw, scratch),
            _ => conv::double::weight_gradient(shape, input, g, dw, scratch),
        }
    }
}
