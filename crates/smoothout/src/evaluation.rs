//! Loss and accuracy on a data set, with running statistics.

use std::sync::Arc;

use smoothout_nn::{Mode, Network, Workspace};

use crate::data::{DataSet, Loader};
use crate::oracle::Tally;
use crate::training::{ModelState, TrainError, check_fit};

/// Examples in a batch of an evaluation: so few that the activations stay in the caches. The result
/// depends on it by rounding only.
pub const EVALUATION_BATCH: usize = 64;

/// Mean loss, top-1 and top-5 of a model on `set`, in batches of `batch_size`.
///
/// # Errors
/// If the data do not fit the network, or cannot be read.
pub fn evaluate(
    network: &Network,
    model: &ModelState,
    set: &Arc<DataSet>,
    batch_size: usize,
    workspace: &mut Workspace<f32>,
) -> Result<Tally, TrainError> {
    check_fit(network, set)?;
    let mut tally = Tally::default();
    for batch in Loader::evaluate(set, batch_size)? {
        let batch = batch?;
        let mode = Mode::evaluate(&model.buffers);
        let loss =
            network.loss(&model.parameters, mode, batch.images(), batch.labels(), workspace)?;
        tally.add(&loss);
    }
    Ok(tally)
}
