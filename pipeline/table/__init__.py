"""Results of several recipes in one table, beside published ones. `pipeline.commands.table` is the command."""
