"""Files: folder, SFTP, object store."""
