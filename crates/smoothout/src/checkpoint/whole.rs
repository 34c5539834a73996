//! Files that are there whole or not at all.

use std::io::Write;
use std::path::Path;

use super::CheckpointError;

/// How the names of files begin that are not whole yet.
pub(crate) const UNFINISHED: &str = ".unfinished-";

/// Writes `content` so that `path` holds either what it held before or all of it.
///
/// # Errors
/// If the file cannot be written; `path` is then as it was.
pub fn write_whole(path: &Path, content: &[u8]) -> Result<(), CheckpointError> {
    let io = |source| CheckpointError::Io { action: "written", path: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(io)?;
    file.write_all(content).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    // The rename itself lasts once the folder is synced.
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}
