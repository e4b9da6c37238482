"""Small files for lab exercises: read them, change them, take them along. They need nothing else of ours."""
