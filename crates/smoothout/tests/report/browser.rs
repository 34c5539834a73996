//! The report in a real browser: Chromium without a window, on a desktop's and a phone's width, light
//! and dark. Says so and passes where there is no browser; `CHROMIUM` names one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use assert_cmd::Command;
use smoothout::reproduce::report::write_report;

use crate::made_results;

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "chromium-headless-shell"];

fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os("CHROMIUM").filter(|named| !named.is_empty()) {
        return Some(PathBuf::from(named));
    }
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    let files = BROWSERS.iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// A page as it is shown.
#[derive(Debug, Clone, Copy)]
struct Shown {
    name: &'static str,
    width: u32,
    dark: bool,
}

const SHOWN: [Shown; 4] = [
    Shown { name: "desktop-light", width: 1280, dark: false },
    Shown { name: "desktop-dark", width: 1280, dark: true },
    Shown { name: "phone-light", width: 360, dark: false },
    Shown { name: "phone-dark", width: 360, dark: true },
];

/// Puts the page into a frame of a phone's width, which Chromium's window cannot have, and writes
/// what the browser made of it into the document that `--dump-dom` shows: a line a fact.
const PROBE: &str = r#"<!doctype html><meta charset="utf-8">
<style>body{margin:0}iframe{border:0;display:block}</style>
<iframe id="page" width="WIDTH" height="9000" srcdoc="PAGE"></iframe>
<pre id="probe"></pre>
<script>
onload = () => {
  const page = document.getElementById('page').contentDocument;
  const lines = [];
  const say = (...words) => lines.push(words.join(' '));
  const root = page.documentElement;
  say('page', root.clientWidth, root.scrollWidth);
  const style = (element) => page.defaultView.getComputedStyle(element);
  say('background', style(page.body).backgroundColor.replaceAll(' ', ''));
  say('color', style(page.body).color.replaceAll(' ', ''));
  for (const figure of page.querySelectorAll('figure')) {
    const box = figure.querySelector('svg').getBoundingClientRect();
    let outside = 0, least = 1e9;
    for (const text of figure.querySelectorAll('svg text')) {
      const at = text.getBoundingClientRect();
      least = Math.min(least, at.height);
      if (at.left < box.left - 1 || at.right > box.right + 1 || at.top < box.top - 1 ||
          at.bottom > box.bottom + 1) outside++;
    }
    const ink = style(figure.querySelector('svg text')).fill.replaceAll(' ', '');
    say('figure', figure.id, box.width, box.height, outside, least, ink);
  }
  for (const box of page.querySelectorAll('.table')) {
    const rows = box.querySelectorAll('tbody tr').length;
    say('table', rows, box.getBoundingClientRect().right, box.clientWidth, box.scrollWidth);
  }
  for (const link of page.querySelectorAll('nav a')) {
    say('link', page.querySelector(link.getAttribute('href')) ? 'found' : 'lost');
  }
  say('scripts', page.scripts.length);
  say('outside', [...page.querySelectorAll('[src],link')].length);
  document.getElementById('probe').textContent = lines.join('\n');
};
</script>"#;

/// Runs the browser on a page and returns what it prints.
fn run(browser: &Path, shown: Shown, options: &[String], page: &Path) -> String {
    let profile = tempfile::tempdir().expect("a folder for the browser's profile");
    let mut command = Command::new(browser);
    command.timeout(Duration::from_secs(120)).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display()));
    command.arg(format!("--blink-settings=preferredColorScheme={}", u8::from(!shown.dark)));
    let page = format!("file://{}", page.display());
    let output = command.args(options).arg(page).output().expect("the browser runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The facts of a page by their first word.
fn facts(dom: &str) -> BTreeMap<String, Vec<Vec<String>>> {
    let start = dom.find("<pre id=\"probe\">").expect("the probe is there") + 16;
    let text = &dom[start..start + dom[start..].find("</pre>").expect("the probe ends")];
    let mut facts: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ').map(str::to_owned);
        facts.entry(words.next().unwrap_or_default()).or_default().push(words.collect());
    }
    facts
}

fn number(word: &str) -> f64 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

#[test]
fn the_page_is_whole_on_desktop_and_phone_in_light_and_dark() {
    let Some(browser) = browser() else {
        eprintln!("SKIPPED: no browser of {BROWSERS:?} on PATH, and CHROMIUM names none");
        return;
    };
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    let studies = [made_results::main_study(), made_results::sweep()];
    write_report(&folder, &made_results::about(), &studies).expect("the report is written");
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    for shown in SHOWN {
        let framed = page.replace('&', "&amp;").replace('"', "&quot;");
        let probed = PROBE.replace("WIDTH", &shown.width.to_string()).replace("PAGE", &framed);
        let file = folder.join(format!("{}.html", shown.name));
        fs::write(&file, probed).unwrap();
        let window = format!("--window-size={},9000", shown.width.max(500));
        let picture = folder.join(format!("{}.png", shown.name));
        let dom = run(&browser, shown, &["--dump-dom".into(), window.clone()], &file);
        check(shown, &facts(&dom));
        let screenshot = format!("--screenshot={}", picture.display());
        run(&browser, shown, &[screenshot, window], &file);
        check_picture(shown, &picture);
    }
}

fn check(shown: Shown, facts: &BTreeMap<String, Vec<Vec<String>>>) {
    let name = shown.name;
    let page = &facts["page"][0];
    assert_eq!(number(&page[0]), f64::from(shown.width), "{name}: the page's width");
    assert_eq!(page[0], page[1], "{name}: the page scrolls sideways");
    let colours = (facts["background"][0][0].as_str(), facts["color"][0][0].as_str());
    let expected = match shown.dark {
        true => ("rgb(22,25,29)", "rgb(232,232,232)"),
        false => ("rgb(255,255,255)", "rgb(27,27,27)"),
    };
    assert_eq!(colours, expected, "{name}");
    let figures = &facts["figure"];
    assert_eq!(figures.len(), 15, "{name}: figures");
    for figure in figures {
        let [id, width, height, outside, letter, ink] = &figure[..] else {
            panic!("{name}: {figure:?}")
        };
        assert!(number(width) > 280.0 && number(height) > 120.0, "{name}: {id} is too small");
        assert_eq!(outside, "0", "{name}: {id} has letters outside of its frame");
        assert!(number(letter) >= 9.0, "{name}: {id} has letters {letter} px high");
        assert_eq!(ink, expected.1, "{name}: {id}");
    }
    let tables = &facts["table"];
    assert!(tables.len() >= 12, "{name}: {} tables", tables.len());
    for table in tables {
        assert!(number(&table[0]) >= 1.0, "{name}: a table without rows");
        assert!(number(&table[1]) <= f64::from(shown.width), "{name}: a table leaves the page");
    }
    let scrolls = tables.iter().any(|table| number(&table[3]) > number(&table[2]));
    assert!(scrolls || shown.width > 360, "{name}: no table scrolls in its box");
    assert!(facts["link"].iter().all(|link| link[0] == "found"), "{name}: contents");
    assert_eq!(facts["link"].len(), 4, "{name}: contents");
    assert_eq!((facts["scripts"][0][0].as_str(), facts["outside"][0][0].as_str()), ("0", "0"));
}

/// The screenshot has the page's background in its corner, and is not empty.
fn check_picture(shown: Shown, file: &Path) {
    let picture = image::open(file).expect("the browser drew a picture").into_rgb8();
    let (width, height) = picture.dimensions();
    assert!(width >= shown.width && height > 5000, "{}: {width} x {height}", shown.name);
    let corner = picture.get_pixel(2, height.min(600)).0;
    let expected = if shown.dark { [22, 25, 29] } else { [255, 255, 255] };
    assert_eq!(corner, expected, "{}", shown.name);
    let colours: std::collections::HashSet<[u8; 3]> = picture.pixels().map(|p| p.0).collect();
    assert!(colours.len() > 100, "{}: {} colours", shown.name, colours.len());
}
