"""Pure image operations, tensor to tensor: augmentations and masks."""
