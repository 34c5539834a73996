//! Writes a sound file for each reader to `tests/fuzz/corpus`: what fuzzing begins with.
//!
//! ```text
//! cargo run -p smoothout-tests --example hostile_seeds
//! ```

use std::io::Write as _;
use std::path::Path;

use smoothout_tests::hostile::seeds;

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    for (reader, name, bytes) in seeds() {
        let folder = corpus.join(reader);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(name), &bytes)?;
        writeln!(std::io::stdout(), "{reader}/{name}: {} bytes", bytes.len())?;
    }
    Ok(())
}
