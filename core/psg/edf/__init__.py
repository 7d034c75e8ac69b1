"""The byte format of EDF, EDF+, BDF and BDF+ files: header, annotations, timeline, samples."""
