"""What a recording of somebody's network says, from its tables alone: in numbers and in a line."""
