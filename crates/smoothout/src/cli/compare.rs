//! `smoothout compare`: the same training plain, with SmoothOut and with AdaSmoothOut.

use std::path::PathBuf;

use clap::Args;

use super::TrainingCompute;
use super::train::{last_and_best, open, train};
use crate::experiment::{ExperimentSpec, Method};
use crate::run::RunFolder;
use crate::text::finite;
use crate::training::EpochRecord;

/// Settings of an experiment that are refused here: `--help` leaves them out.
const REFUSED: [&str; 15] = [
    "method",
    "radius",
    "rho",
    "eta",
    "ascent_scope",
    "lpf_gamma",
    "lpf_alpha",
    "langevin_steps",
    "langevin_rate",
    "langevin_noise",
    "entropy_gamma",
    "entropy_scoping",
    "swa_start",
    "swa_cycle",
    "swa_learning_rate",
];

/// Train by all three methods from the same weights on the same data in the same order.
#[derive(Debug, Args)]
#[command(mut_args(|arg| { let hide = REFUSED.contains(&arg.get_id().as_str()); arg.hide(hide) }))]
pub(super) struct CompareCommand {
    #[command(flatten)]
    spec: ExperimentSpec,
    /// SmoothOut's radius
    #[arg(long, default_value_t = 0.01, value_parser = finite)]
    smoothout_radius: f64,
    /// AdaSmoothOut's radius
    #[arg(long, default_value_t = 0.1, value_parser = finite)]
    adasmoothout_radius: f64,
    /// Folder of the three run folders; runs that are there already go on, or are shown
    #[arg(long, value_name = "DIR", default_value = "runs/compare")]
    out: PathBuf,
    #[command(flatten)]
    compute: TrainingCompute,
}

impl CompareCommand {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.spec.method.is_some() || self.spec.radius.is_some() {
            let advice = "compare trains by every method: leave --method and --radius out, and \
                          give --smoothout-radius and --adasmoothout-radius";
            return Err(super::BadInput(advice.to_owned()).into());
        }
        let methods = [
            (Method::Plain, None),
            (Method::SmoothOut, Some(self.smoothout_radius)),
            (Method::AdaSmoothOut, Some(self.adasmoothout_radius)),
        ];
        let specs = methods.map(|(method, radius)| {
            let spec = ExperimentSpec { method: Some(method), radius, ..self.spec.clone() };
            spec.without_foreign_settings()
        });
        // Every mistake shows before the first training, and no option is silently ignored.
        let read = |name: &str| methods.iter().any(|(method, _)| method.reads(name));
        if let Some(name) = self.spec.fields().keys().find(|name| !read(name)) {
            let advice = format!(
                "{name} is no setting of plain, smoothout or adasmoothout, which compare trains: \
                 leave it out, or use `smoothout train`"
            );
            return Err(super::BadInput(advice).into());
        }
        for spec in &specs {
            spec.resolve()?;
        }
        let mut rows = Vec::new();
        for ((method, radius), spec) in methods.into_iter().zip(specs) {
            let out = self.out.join(method.as_str());
            let resume = RunFolder::is_begun(&out);
            note!("{}:", method.as_str());
            let compute = if resume { self.compute.resuming(&out)? } else { self.compute };
            let records = compute.run(|| {
                let (mut run, mut training) = open(&out, &spec, resume)?;
                train(&mut run, &mut training, None)?.go_on_by("the same command")?;
                Ok(run.records().to_vec())
            })?;
            rows.push((method, radius, records));
        }
        print_table(&rows)?;
        say!("kept in {}", self.out.display());
        Ok(())
    }
}

fn print_table(rows: &[(Method, Option<f64>, Vec<EpochRecord>)]) -> anyhow::Result<()> {
    say!("method        radius  train loss  test loss  test top-1 last  best (epoch)  seconds");
    for (method, radius, records) in rows {
        let Some((last, best)) = last_and_best(records) else { continue };
        say!(
            "{:<12}  {:>6}  {:>10.4}  {:>9.4}  {:>13.2} %  {:>5.2} % ({:>3})  {:>7.1}",
            method.as_str(),
            radius.map_or_else(|| "-".to_owned(), |radius| radius.to_string()),
            last.train_loss,
            last.test_loss,
            last.test_top1,
            best.test_top1,
            best.epoch,
            records.iter().map(|record| record.seconds).sum::<f64>(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What `--help` leaves out are the settings of the other methods, all of them, and the two that compare
    /// chooses itself.
    #[test]
    fn help_knows_what_is_refused() {
        let settings = |methods: &[&str]| -> BTreeSet<String> {
            let resolved = |method: &&str| {
                let radius = if method.ends_with("smoothout") { r#", "radius": 0.1"# } else { "" };
                let text = format!(r#"{{ "model": "f1", "method": "{method}"{radius} }}"#);
                let spec: ExperimentSpec = serde_json::from_str(&text).unwrap();
                serde_json::to_value(spec.resolve().unwrap().spec()).unwrap()
            };
            let fields = methods.iter().map(resolved);
            fields
                .flat_map(|spec| spec.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
                .collect()
        };
        let own = settings(&["plain", "smoothout", "adasmoothout"]);
        let mut refused = settings(&["sam", "asam", "lpf-sgd", "entropy-sgd", "swa"]);
        refused.retain(|name| !own.contains(name));
        refused.extend(["method", "radius"].map(str::to_owned));
        assert_eq!(refused, REFUSED.map(str::to_owned).into());
    }
}
