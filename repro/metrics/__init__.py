"""What is measured on result images: PSNR, SSIM, NIQE, consistency with the LR image, spectra, LPIPS."""
