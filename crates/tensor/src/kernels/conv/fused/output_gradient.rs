//! The gradient of what a layer writes, from what is known of it: that of a norm behind the layer, or of a
//! pool, whose maxima alone were stored.

use std::ops::Range;

use super::gradient::{ApplyNorm, NormGradient};
use super::passes::norm_gradient;
use crate::kernels::ahead::Ahead;
use crate::kernels::conv::Conv2dShape;
use crate::kernels::conv::by_images::ByImages;
use crate::kernels::simd;
use crate::kernels::{InstructionSet, max_pool_gradient, scratch};

/// The gradient of what a convolution or linear layer writes.
#[derive(Debug)]
pub enum OutputGradient<'a> {
    /// As it is.
    Stored(&'a [f32]),
    /// The gradient of a norm's input, which the layer's output is.
    Norm {
        /// Where it comes from.
        norm: NormGradient<'a>,
        /// Room for dz, where it is stored between two passes; else it stays as it is.
        to: &'a mut [f32],
    },
    /// The gradient of a max pool's input, which a convolution's output is. It is never stored.
    Pooled {
        /// The pool, as [`max_pool`](crate::kernels::max_pool) takes it, with the whole batch.
        pool: Conv2dShape,
        /// Where the maxima were.
        argmax: &'a [u32],
        /// That of the maxima.
        maxima: MaximaGradient<'a>,
    },
}

/// The gradient of a pool's maxima.
#[derive(Debug, Clone, Copy)]
pub enum MaximaGradient<'a> {
    /// As it is.
    Stored(&'a [f32]),
    /// That of a norm's input.
    Norm(NormGradient<'a>),
}

impl<'a> OutputGradient<'a> {
    /// How many values it has.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Stored(gradient) => gradient.len(),
            Self::Norm { to, .. } => to.len(),
            Self::Pooled { pool, .. } => pool.input_len(),
        }
    }

    /// # Panics
    /// If it is not that of what `shape` writes, or a part of it has another length.
    pub(super) fn check(&self, shape: &Conv2dShape) {
        let check_norm = |norm: &NormGradient<'_>, len: usize| {
            assert_eq!([norm.gradient.len(), norm.input.len()], [len; 2], "d and z of a norm");
        };
        match self {
            Self::Stored(_) => {}
            Self::Norm { norm, to } => check_norm(norm, to.len()),
            Self::Pooled { pool, argmax, maxima } => {
                shape.check_pool(pool);
                let len = pool.output_len();
                assert_eq!(argmax.len(), len, "one position for each maximum");
                match maxima {
                    MaximaGradient::Stored(values) => assert_eq!(values.len(), len, "maxima"),
                    MaximaGradient::Norm(norm) => check_norm(norm, len),
                }
            }
        }
        assert_eq!(self.len(), shape.output_len(), "length of the output of {shape:?}");
    }

    /// The gradient, computed and written in a pass of its own if it is not stored.
    ///
    /// # Panics
    /// If it is that of a pool's input.
    pub fn store(self) -> &'a [f32] {
        match self {
            Self::Stored(gradient) => gradient,
            Self::Norm { norm, to } => {
                norm_gradient(norm, None, to);
                to
            }
            Self::Pooled { .. } => panic!("there is no room for the gradient of a pool's input"),
        }
    }
}

/// The gradient of a convolution's output, computed as it is needed.
pub(super) struct Gradients<'a> {
    pub(super) set: InstructionSet,
    pub(super) batch: usize,
    pub(super) of: &'a OutputGradient<'a>,
}

impl Gradients<'_> {
    /// Where some images are in a tensor of so many values.
    fn rows(&self, images: &Range<usize>, len: usize) -> Range<usize> {
        let image = len / self.batch;
        images.start * image..images.end * image
    }

    /// What is read to have the images behind these.
    pub(super) fn ahead(&self, images: &Range<usize>) -> Ahead {
        let none = Ahead::new(&[]);
        match self.of {
            OutputGradient::Stored(values)
            | OutputGradient::Pooled { maxima: MaximaGradient::Stored(values), .. } => {
                none.and_behind(&values[self.rows(images, values.len())])
            }
            OutputGradient::Norm { norm, .. }
            | OutputGradient::Pooled { maxima: MaximaGradient::Norm(norm), .. } => {
                let norm = norm.rows(self.rows(images, norm.input.len()));
                none.and_behind(norm.gradient).and_behind(norm.input)
            }
        }
    }

    /// Calls `body` with some rows of a norm's dz.
    fn norm(&self, norm: &NormGradient<'_>, rows: Range<usize>, body: impl FnOnce(&[f32])) {
        scratch::with_thread_buffer(rows.len(), |dz| {
            simd::run(self.set, ApplyNorm { norm: norm.rows(rows), add: None, to: dz });
            body(dz);
        });
    }
}

impl ByImages for Gradients<'_> {
    fn images(&self, images: Range<usize>, body: impl FnOnce(&[f32])) {
        match self.of {
            OutputGradient::Stored(values) => body(&values[self.rows(&images, values.len())]),
            OutputGradient::Norm { norm, .. } => {
                self.norm(norm, self.rows(&images, norm.input.len()), body);
            }
            OutputGradient::Pooled { pool, argmax, maxima } => {
                let rows = self.rows(&images, argmax.len());
                let argmax = &argmax[rows.clone()];
                let len = images.len() * pool.input_len() / self.batch;
                scratch::with_thread_buffer(len, |to| {
                    match maxima {
                        MaximaGradient::Stored(values) => spread(pool, &values[rows], argmax, to),
                        MaximaGradient::Norm(norm) => {
                            self.norm(norm, rows, |dz| spread(pool, dz, argmax, to));
                        }
                    }
                    body(to);
                });
            }
        }
    }
}

/// The gradient of some images, from that of their maxima.
fn spread(pool: &Conv2dShape, maxima: &[f32], argmax: &[u32], to: &mut [f32]) {
    let one = Conv2dShape { batch: 1, ..*pool };
    let (all, each) = (one.input_len(), one.output_len());
    let maxima = maxima.chunks_exact(each).zip(argmax.chunks_exact(each));
    for (image, (gradient, argmax)) in to.chunks_exact_mut(all).zip(maxima) {
        max_pool_gradient(&one, gradient, argmax, image);
    }
}
