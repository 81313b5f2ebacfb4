"""What a run writes for those who use, judge and publish its data: data sheet, Croissant, the EU's summary."""
