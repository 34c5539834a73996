//! Training curves: accuracy and loss by epoch, the mean over seeds.

use super::{Csv, Draft, Drawing, has_records, number, over_seeds};
use crate::chart::{AxisScale, AxisSpec, Curve, CurveChart};
use crate::reproduce::report::arms::{ArmView, StudyView};
use crate::reproduce::report::tables::split_name;
use crate::reproduce::statistics::Summary;
use crate::training::EpochRecord;

/// More curves than this are drawn one batch size a figure.
const TOGETHER: usize = 7;

pub(super) fn curves(view: &StudyView<'_>) -> Vec<Draft> {
    let arms: Vec<&ArmView<'_>> = view.arms.iter().filter(|arm| has_records(arm)).collect();
    let mut groups: Vec<(Option<usize>, Vec<&ArmView<'_>>)> = Vec::new();
    for arm in &arms {
        let key = (arms.len() > TOGETHER).then(|| arm.batch_size());
        match groups.iter_mut().find(|group| group.0 == key) {
            Some(group) => group.1.push(arm),
            None => groups.push((key, vec![arm])),
        }
    }
    let split = split_name(view);
    let mut drafts = Vec::new();
    for (batch, arms) in &groups {
        let (title, kind) = match batch {
            Some(batch) => (format!(", B = {batch}"), format!("-b{batch}")),
            None => (String::new(), String::new()),
        };
        let accuracy = Curves {
            title: format!("Accuracy while training{title}"),
            unit: format!("{split} top-1, %"),
            scale: AxisScale::Linear,
            value: |record| record.test_top1,
        };
        drafts.push(accuracy.draft(view, &format!("training-accuracy{kind}"), arms));
        let losses = arms.iter().flat_map(|arm| &arm.runs).flat_map(|run| &run.records);
        let loss = Curves {
            title: format!("Training loss{title}"),
            unit: "train loss (at the weights of each update)".to_owned(),
            scale: AxisScale::spanning(losses.map(|record| record.train_loss), 20.0),
            value: |record| record.train_loss,
        };
        drafts.push(loss.draft(view, &format!("training-loss{kind}"), arms));
    }
    drafts
}

/// One value of each epoch.
struct Curves {
    title: String,
    unit: String,
    scale: AxisScale,
    value: fn(&EpochRecord) -> f64,
}

impl Curves {
    fn draft(self, view: &StudyView<'_>, kind: &str, arms: &[&ArmView<'_>]) -> Draft {
        let mut csv = Csv::new("arm,epoch,n,mean,deviation");
        let mut curves = Vec::new();
        for arm in arms {
            let mut points = Vec::new();
            for (epoch, summary) in self.by_epoch(arm) {
                points.push((epoch as f64, summary.map_or(f64::NAN, |summary| summary.mean)));
                if let Some(Summary { n, mean, deviation }) = summary {
                    let [n, epoch] = [n, epoch].map(|count| count.to_string());
                    csv.line([
                        arm.arm.name.clone(),
                        epoch,
                        n,
                        number(Some(mean)),
                        number(deviation),
                    ]);
                }
            }
            curves.push(Curve::line(&arm.arm.label, points));
        }
        let x = AxisSpec::new("epoch", AxisScale::Linear);
        let y = AxisSpec::new(&self.unit, self.scale);
        let chart = CurveChart::new(&self.title, x, y, curves);
        let chart = CurveChart { about: view.study.title.clone(), ..chart };
        let caption = format!("{}.", over_seeds(arms.iter().copied()));
        Draft::new(view, kind, Drawing::Curves(chart), caption, csv)
    }

    /// Over the seeds that have the epoch; nothing where one of them is not finite.
    fn by_epoch(&self, arm: &ArmView<'_>) -> Vec<(usize, Option<Summary>)> {
        let epochs = arm.runs.iter().flat_map(|run| &run.records).map(|record| record.epoch);
        let last = epochs.max().unwrap_or(0);
        let of = |epoch: usize| {
            let records = arm.runs.iter().flat_map(|run| &run.records);
            let values: Vec<f64> =
                records.filter(|record| record.epoch == epoch).map(self.value).collect();
            (epoch, Summary::of(&values))
        };
        (1..=last).map(of).collect()
    }
}
