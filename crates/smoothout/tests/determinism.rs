//! One seed, one result: on any number of threads, and after stops within an epoch; and how far it
//! holds across instruction sets.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::ThreadPoolBuilder;
use smoothout::checkpoint::{load_training, save_training};
use smoothout::data::{DataSet, DataSetName, Images, Split};
use smoothout::experiment::{Experiment, ExperimentSpec, Method, Optimizer};
use smoothout::training::{EpochRecord, Training, TrainingData, TrainingState};
use smoothout_tensor::kernels::{InstructionSet, KernelChoice, Precision};

/// Kernels and instructions are chosen for the whole process: one test at a time.
static KERNELS: Mutex<()> = Mutex::new(());

/// Random images in the shape of CIFAR.
fn images(split: Split, count: usize) -> Arc<DataSet> {
    let mut state = split as u32 + 1;
    let mut byte = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    Arc::new(DataSet {
        name: DataSetName::Cifar10,
        split,
        images: Images::Memory((0..count * 3072).map(|_| byte()).collect()),
        labels: (0..count).map(|i| (i % 10) as u16).collect(),
        height: 32,
        width: 32,
        channels: 3,
        classes: 10,
    })
}

/// A small ResNet: one ghost batch an update, cut by images inside the layers, or four, shared out
/// to the threads. 70 examples leave an incomplete batch at the end of an epoch.
fn experiment(method: Method, optimizer: Optimizer, batch_size: usize) -> Experiment {
    ExperimentSpec {
        model: Some("resnet8".to_owned()),
        dataset: Some(DataSetName::Cifar10),
        epochs: Some(2),
        batch_size: Some(batch_size),
        ghost_batch_size: Some(16),
        optimizer: Some(optimizer),
        method: Some(method),
        radius: match method {
            Method::SmoothOut => Some(0.01),
            Method::AdaSmoothOut => Some(0.1),
            _ => None,
        },
        langevin_steps: (method == Method::EntropySgd).then_some(2),
        ..ExperimentSpec::default()
    }
    .resolve()
    .unwrap()
}

fn cases() -> Vec<Experiment> {
    let mut cases = Vec::new();
    for batch_size in [16, 64] {
        for method in [Method::Plain, Method::SmoothOut, Method::AdaSmoothOut] {
            cases.push(experiment(method, Optimizer::Sgd, batch_size));
        }
    }
    for method in [Method::Sam, Method::LpfSgd, Method::EntropySgd] {
        cases.push(experiment(method, Optimizer::Sgd, 64));
    }
    cases.push(experiment(Method::SmoothOut, Optimizer::Adam, 64));
    cases
}

fn start(experiment: &Experiment) -> Training {
    let data = TrainingData { train: images(Split::Train, 70), test: images(Split::Test, 20) };
    Training::new(experiment.clone(), data).unwrap()
}

fn on<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

fn timeless(record: EpochRecord) -> EpochRecord {
    EpochRecord { seconds: 0.0, ..record }
}

/// Two epochs without a stop.
fn whole(experiment: &Experiment, threads: usize) -> (Vec<EpochRecord>, TrainingState) {
    on(threads, || {
        let mut training = start(experiment);
        let records = (0..2).map(|_| timeless(training.epoch(|_, _| {}).unwrap())).collect();
        (records, training.state())
    })
}

/// Two epochs, each update on another number of threads, in a training made anew from a file.
fn in_pieces(experiment: &Experiment, file: &Path) -> (Vec<EpochRecord>, TrainingState) {
    let (mut records, mut stops) = (Vec::new(), 0);
    for threads in [1, 7, 2, 3].into_iter().cycle() {
        let ended = on(threads, || {
            let mut training = start(experiment);
            if file.exists() {
                let state = load_training(file, training.network()).unwrap();
                training.restore(state).unwrap();
            }
            match training.epoch_until(|_, _| ControlFlow::Break(())).unwrap() {
                Some(record) => records.push(timeless(record)),
                None => stops += 1,
            }
            save_training(file, training.network(), &training.state()).unwrap();
            (training.epochs() == 2).then(|| training.state())
        });
        if let Some(state) = ended {
            assert!(stops > 0, "it stopped within an epoch");
            std::fs::remove_file(file).unwrap();
            return (records, state);
        }
    }
    unreachable!("the trainings end")
}

#[test]
fn threads_and_stops_change_no_bit() {
    let _alone = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("training.safetensors");
    for experiment in cases() {
        let name = format!("{:?} {:?}", experiment.spec().method, experiment.spec().batch_size);
        let expected = whole(&experiment, 1);
        for threads in [2, 3, 7] {
            assert!(whole(&experiment, threads) == expected, "{name} on {threads} threads");
        }
        let found = in_pieces(&experiment, &file);
        assert!(found == expected, "{name}, stopped after each update");
    }
}

/// The plain definitions, `--kernels scalar`, have the same bits whichever instructions are in
/// force. The fast kernels have bits of their own on each set: x86-64's baseline rounds twice where
/// AVX2 fuses.
#[test]
fn instruction_sets_agree_where_they_say_so() {
    let _alone = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    let sets: Vec<_> = InstructionSet::ALL.into_iter().filter(|set| set.is_available()).collect();
    let experiment = experiment(Method::AdaSmoothOut, Optimizer::Sgd, 64);
    let results = |choice: KernelChoice| -> Vec<_> {
        choice.select();
        let on_set = |set: &InstructionSet| {
            set.select();
            whole(&experiment, 2)
        };
        sets.iter().map(on_set).collect()
    };
    let scalar = results(KernelChoice::Scalar);
    assert!(scalar.iter().all(|result| *result == scalar[0]), "scalar kernels on {sets:?}");
    let fast = results(KernelChoice::Auto);
    for (pair, names) in fast.windows(2).zip(sets.windows(2)) {
        let same = pair[0] == pair[1];
        println!("fast kernels on {names:?}: the same bits: {same}");
        assert!(!same || names != [InstructionSet::Avx2, InstructionSet::Baseline], "{names:?}");
    }
    InstructionSet::detected().select();
}

/// Factors rounded to `bf16` give other bits than whole ones, near them, and the same on any number of threads.
#[test]
fn rounded_factors_are_as_sure() {
    let _alone = KERNELS.lock().unwrap_or_else(PoisonError::into_inner);
    let experiment = experiment(Method::SmoothOut, Optimizer::Sgd, 64);
    for set in InstructionSet::ALL.into_iter().filter(|set| set.is_available()) {
        set.select();
        if !Precision::Bf16.is_available() {
            eprintln!("skipped: no bf16 with {}", set.name());
            continue;
        }
        let full = whole(&experiment, 2);
        Precision::Bf16.select();
        let rounded = whole(&experiment, 1);
        for threads in [2, 3, 7] {
            assert!(whole(&experiment, threads) == rounded, "{} on {threads} threads", set.name());
        }
        Precision::F32.select();
        assert!(rounded != full, "{} rounds", set.name());
        for (rounded, full) in rounded.0.iter().zip(&full.0) {
            let difference = (rounded.train_loss - full.train_loss).abs();
            assert!(difference < 0.02 * full.train_loss, "{rounded:?}, {full:?}");
        }
    }
    InstructionSet::detected().select();
}
